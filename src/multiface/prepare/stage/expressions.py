"""Expression shapes with the names animators know: offsets of every vertex at full strength, to be mixed linearly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from multiface.prepare.stage.face_fields import FaceFields
from multiface.prepare.stage.head import Head
from multiface.prepare.stage.landmarks import Aperture
from multiface.prepare.stage.parts import eyeball

_BLINK = Aperture(-3.05, -3.3)  # the margins meet a little below the line between the corners
_LOOK = np.radians(24.0)  # sideways; up and down a little less
_LOOK_UP = np.radians(20.0)


@dataclass(frozen=True, eq=False)
class Expressions:
    """``names`` of E shapes and their (E, V, 3) float32 ``deltas``, mm in head space."""

    names: tuple[str, ...]
    deltas: np.ndarray

    def mesh(self, neutral: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
        """(V, 3) float32: ``neutral`` plus the weighted shapes, added in the order of ``names``; other names are ignored."""
        out = np.asarray(neutral, np.float32).copy()
        for name, delta in zip(self.names, self.deltas):
            weight = np.float32(weights.get(name, 0.0))
            if weight:
                out += weight * delta
        return out


def build_expressions(head: Head) -> Expressions:
    """All shapes of a procedural head. ``_L`` is the subject's left (x > 0); ``_R`` its exact mirror image."""
    fields = FaceFields(head)
    mirror = _mirror_index(head)
    shapes: dict[str, np.ndarray] = {}
    for name, make in _SIDED.items():
        left = make(fields)
        shapes[f"{name}_L"] = left
        shapes[f"{name}_R"] = left[mirror] * [-1.0, 1.0, 1.0]
    for name, make in _WHOLE.items():
        shapes[name] = make(fields)
    shapes["jawRight"] = shapes["jawLeft"][mirror] * [-1.0, 1.0, 1.0]
    shapes["mouthRight"] = shapes["mouthLeft"][mirror] * [-1.0, 1.0, 1.0]
    names = tuple(sorted(shapes))
    return Expressions(names, np.stack([shapes[name] for name in names]).astype(np.float32))


def _mirror_index(head: Head) -> np.ndarray:
    """(V,) for each vertex the one at its mirror image about x = 0, on the same margin of a slit."""
    region, sheet = head.regions, head.sheet
    out = np.empty(len(head.neutral), np.int64)
    keys = zip(region.t, region.a, region.margin, region.mouth_ring, region.lid_ring)
    where = {key: k for k, key in enumerate(keys) if k < sheet.vertex_count}
    for (t, a, *rest), k in where.items():
        out[k] = where[(t, -a if abs(a) < 2.0 else a, *rest)]  # the seam at the back is its own mirror image
    swap = {"eyeball_L": "eyeball_R", "eyeball_R": "eyeball_L", "ear_L": "ear_R", "ear_R": "ear_L"}
    for name in region.names[1:]:
        mine, theirs = head.part_slice(name), head.part_slice(swap.get(name, name))
        mirrored = head.neutral[mine] * [-1.0, 1.0, 1.0]
        distance = np.linalg.norm(mirrored[:, None] - head.neutral[theirs][None], axis=-1)
        out[mine] = theirs.start + distance.argmin(1)
    return out


def _lids(aperture: Callable[[FaceFields], Aperture]) -> Callable[[FaceFields], np.ndarray]:
    """A shape of the left eye's lids alone, from the head rebuilt with another opening."""

    def make(f: FaceFields) -> np.ndarray:
        head = f.head
        out, skin = np.zeros_like(head.neutral), head.part_slice("skin")
        out[skin] = head.skin(aperture(f), head.marks.aperture) - head.neutral[skin]
        return out

    return make


def _scaled(upper: float, lower: float) -> Callable[[FaceFields], Aperture]:
    def aperture(f: FaceFields) -> Aperture:
        rest = f.head.marks.aperture
        return Aperture(rest.upper + upper, rest.lower + lower)

    return aperture


def _gaze(yaw: float, pitch: float) -> Callable[[FaceFields], np.ndarray]:
    def make(f: FaceFields) -> np.ndarray:
        out = np.zeros_like(f.points)
        turned = eyeball(f.head.marks, +1, yaw, pitch)
        out[f.head.part_slice("eyeball_L")] = turned.vertices - f.head.neutral[f.head.part_slice("eyeball_L")]
        return out

    return make


def _sum(*makers: Callable[[FaceFields], np.ndarray]) -> Callable[[FaceFields], np.ndarray]:
    return lambda f: sum((make(f) for make in makers[1:]), makers[0](f))


def _smile(f: FaceFields) -> np.ndarray:
    corner = f.hill((f.mouth_x, -69.0), (15.0, 13.0), 2.4)
    out = corner * f.vector(7.0, 6.5, -5.5)
    out += f.hill((39.0, -31.0), (15.0, 14.0)) * f.vector(1.5, 4.6, 3.6)
    out += f.hill((31.0, -10.0), (14.0, 4.0)) * f.vector(0.0, 1.0, 0.4)
    out += f.hill((47.0, -58.0), (12.0, 16.0)) * f.vector(2.0, 1.5, 1.0)
    crease = f.near_segment((20.0, -41.0), (38.0, -64.0), 3.6)
    out += crease * f.vector(0.0, 0.0, -1.8)
    out += f.hill((9.0, -70.0), (11.0, 9.0)) * f.vector(1.6, 0.3, -1.4)
    return out


def _frown(f: FaceFields) -> np.ndarray:
    out = f.hill((f.mouth_x, -69.5), (11.0, 10.0), 2.4) * f.vector(0.5, -6.2, -1.4)
    out += f.hill((17.0, -88.0), (11.0, 9.0)) * f.vector(0.4, -2.2, 0.5)
    return out + f.hill((8.0, -94.0), (10.0, 9.0)) * f.vector(0.0, 1.3, 0.9)


def _stretch(f: FaceFields) -> np.ndarray:
    out = f.hill((f.mouth_x, -70.0), (14.0, 14.0), 2.4) * f.vector(8.0, -3.2, -6.0)
    out += f.hill((40.0, -100.0), (16.0, 18.0)) * f.vector(1.5, -2.0, 0.5)
    return out + f.hill((10.0, -70.0), (11.0, 10.0)) * f.vector(2.0, 0.0, -1.6)


def _dimple(f: FaceFields) -> np.ndarray:
    return f.hill((f.mouth_x + 1.5, -69.0), (9.0, 8.0)) * f.vector(3.8, 0.6, -4.4)


def _upper_up(f: FaceFields) -> np.ndarray:
    lip = f.upper * f.hill((10.0, -62.0), (13.0, 11.0), 2.6) * f.vector(0.0, 5.6, 0.8)
    return lip + f.upper * f.hill((20.0, -44.0), (10.0, 12.0)) * f.vector(0.4, 2.6, 0.8)


def _lower_down(f: FaceFields) -> np.ndarray:
    lip = f.lower * f.hill((10.0, -77.0), (13.0, 9.0), 2.6) * f.vector(0.4, -5.2, 0.6)
    return lip + f.lower * f.hill((13.0, -90.0), (13.0, 9.0)) * f.vector(0.2, -2.0, 0.2)


def _press(f: FaceFields) -> np.ndarray:
    out = f.upper * f.hill((9.0, -64.0), (14.0, 6.0), 2.6) * f.vector(0.0, -1.3, -1.9)
    out += f.lower * f.hill((9.0, -75.0), (14.0, 6.5), 2.6) * f.vector(0.0, 2.0, -2.3)
    return out + f.hill((13.0, -92.0), (12.0, 9.0)) * f.vector(0.0, 1.0, 1.0)


def _sneer(f: FaceFields) -> np.ndarray:
    out = f.hill((14.0, -37.0), (8.0, 10.0)) * f.vector(1.4, 4.4, 0.2)
    out += f.upper * f.hill((14.0, -58.0), (12.0, 10.0)) * f.vector(0.8, 3.0, 0.6)
    out += f.hill((9.0, 6.0), (8.0, 9.0)) * f.vector(-0.8, -1.2, 0.9) * f.above_lids
    out += f.near_segment((8.0, -12.0), (14.0, -24.0), 4.0) * f.vector(0.4, 3.4, 1.0)
    return out + f.hill((33.0, -28.0), (13.0, 12.0)) * f.vector(0.0, 2.4, 1.6)


def _puff(f: FaceFields) -> np.ndarray:
    out = f.bulge((42.0, -58.0), (22.0, 20.0), 8.5) + f.bulge((28.0, -74.0), (14.0, 12.0), 2.6)
    return out + f.hill((13.0, -70.0), (13.0, 14.0)) * f.vector(0.0, 0.0, 1.8)


def _cheek_squint(f: FaceFields) -> np.ndarray:
    out = f.hill((39.0, -24.0), (15.0, 12.0)) * f.vector(-0.4, 4.2, 2.6)
    return out + _lids(_scaled(-0.4, 1.1))(f)


def _brow_down(f: FaceFields) -> np.ndarray:
    out = f.hill((24.0, 21.0), (19.0, 12.0), 2.4) * f.vector(-1.4, -4.8, 0.8)
    out += f.hill((7.0, 19.0), (8.0, 10.0)) * f.vector(-0.8, -0.2, 0.9)
    return out * f.above_lids


def _brow_inner_up(f: FaceFields) -> np.ndarray:
    out = f.hill((12.0, 23.0), (13.0, 13.0), 2.4) * f.vector(0.6, 7.0, -0.2)
    return (out + f.hill((13.0, 44.0), (17.0, 14.0)) * f.vector(0.0, 2.6, 0.4)) * f.above_lids


def _brow_outer_up(f: FaceFields) -> np.ndarray:
    out = f.hill((38.0, 23.0), (17.0, 13.0), 2.4) * f.vector(0.6, 7.2, -0.8)
    return (out + f.hill((36.0, 46.0), (18.0, 14.0)) * f.vector(0.0, 2.6, 0.0)) * f.above_lids


def _pucker(f: FaceFields) -> np.ndarray:
    near = f.hill((0.0, -70.0), (33.0, 19.0), 2.6)
    out = near * f.toward_midline(0.44) + near * f.vector(0.0, 0.0, 6.5)
    out += f.upper * f.hill((0.0, -64.0), (16.0, 8.0)) * f.vector(0.0, 0.3, 1.4)
    return out + f.lower * f.hill((0.0, -76.0), (16.0, 8.0)) * f.vector(0.0, -0.3, 1.8)


def _funnel(f: FaceFields) -> np.ndarray:
    near = f.hill((0.0, -70.0), (32.0, 18.0), 2.6)
    out = near * f.toward_midline(0.33) + near * f.vector(0.0, 0.0, 5.5)
    out += f.upper * f.hill((0.0, -63.0), (18.0, 9.0), 2.6) * f.vector(0.0, 4.6, 1.6)
    return out + f.lower * f.hill((0.0, -77.0), (18.0, 9.0), 2.6) * f.vector(0.0, -5.6, 2.0)


def _mouth_left(f: FaceFields) -> np.ndarray:
    return f.hill((2.0, -70.0), (36.0, 19.0), 2.4) * f.vector(9.0, 0.0, 0.0) + f.hill((30.0, -68.0), (14.0, 14.0)) * f.vector(
        -1.0, 1.0, -2.5
    )


def _roll_lower(f: FaceFields) -> np.ndarray:
    return f.lower * f.hill((0.0, -75.0), (24.0, 7.0), 2.6) * f.vector(0.0, 2.4, -5.0)


def _roll_upper(f: FaceFields) -> np.ndarray:
    return f.upper * f.hill((0.0, -64.0), (24.0, 6.5), 2.6) * f.vector(0.0, -2.0, -4.4)


def _shrug_lower(f: FaceFields) -> np.ndarray:
    out = f.lower * f.hill((0.0, -77.0), (22.0, 12.0), 2.4) * f.vector(0.0, 4.2, 3.0)
    out += f.hill((0.0, -99.0), (18.0, 11.0)) * f.vector(0.0, 3.0, 1.2)
    return out + f.upper * f.hill((0.0, -66.0), (22.0, 9.0), 2.4) * f.vector(0.0, 3.6, 1.6)


def _shrug_upper(f: FaceFields) -> np.ndarray:
    out = f.upper * f.hill((0.0, -64.0), (22.0, 10.0), 2.4) * f.vector(0.0, 3.0, 2.2)
    return out + f.lower * f.hill((0.0, -73.0), (22.0, 8.0), 2.4) * f.vector(0.0, 2.6, 0.8)


_SIDED: dict[str, Callable[[FaceFields], np.ndarray]] = {
    "browDown": _brow_down,
    "browInnerUp": _brow_inner_up,
    "browOuterUp": _brow_outer_up,
    "cheekPuff": _puff,
    "cheekSquint": _cheek_squint,
    "eyeBlink": _lids(lambda f: _BLINK),
    "eyeLookDown": _sum(_gaze(0.0, -_LOOK_UP), _lids(_scaled(-4.6, -0.8))),
    "eyeLookIn": _gaze(-_LOOK, 0.0),
    "eyeLookOut": _gaze(_LOOK, 0.0),
    "eyeLookUp": _sum(_gaze(0.0, _LOOK_UP), _lids(_scaled(1.7, 0.6))),
    "eyeSquint": _sum(_lids(_scaled(-1.9, 1.7)), lambda f: f.hill((33.0, -16.0), (14.0, 8.0)) * f.vector(0.0, 1.6, 0.8)),
    "eyeWide": _lids(_scaled(2.2, -0.7)),
    "mouthDimple": _dimple,
    "mouthFrown": _frown,
    "mouthLowerDown": _lower_down,
    "mouthPress": _press,
    "mouthSmile": _smile,
    "mouthStretch": _stretch,
    "mouthUpperUp": _upper_up,
    "noseSneer": _sneer,
}
_WHOLE: dict[str, Callable[[FaceFields], np.ndarray]] = {
    "jawForward": lambda f: f.jaw[:, None] * np.array([0.0, -0.5, 6.0]),
    "jawLeft": lambda f: f.jaw[:, None] * np.array([8.0, -0.5, 0.0]),
    "jawOpen": lambda f: f.jaw_open(),
    "mouthFunnel": _funnel,
    "mouthLeft": _mouth_left,
    "mouthPucker": _pucker,
    "mouthRollLower": _roll_lower,
    "mouthRollUpper": _roll_upper,
    "mouthShrugLower": _shrug_lower,
    "mouthShrugUpper": _shrug_upper,
}
