"""The whole head: skin, eyeballs, ears and teeth as one mesh of one topology, and its shape for any opening of the lids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.geometry import Topology
from multiface.prepare.stage import parts
from multiface.prepare.stage.identity import Identity
from multiface.prepare.stage.landmarks import EYEBALL_RADIUS, Aperture, Landmarks
from multiface.prepare.stage.relief import sculpt
from multiface.prepare.stage.sheet import SkinSheet, Slit
from multiface.prepare.stage.skull import MOUTH, Skull
from multiface.prepare.stage.splines import smoothstep
from multiface.prepare.stage.uv_layout import chart_in_atlas, skin_uv

_UPPER_REACH, _LOWER_REACH = 25.0, 20.0  # mm over and under an eye within which rows make room for its opening
# Rims inside the mouth: (sideways scale, height away from the mouth line, depth behind the lip), millimetres.
_UPPER_MOUTH = [(0.99, 0.2, 2.6), (0.97, 3.2, 5.0), (0.93, 8.5, 8.0), (0.85, 7.5, 24.0), (0.7, 3.0, 46.0)]
_LOWER_MOUTH = [(0.99, 0.2, 2.6), (0.97, 3.4, 5.0), (0.93, 9.0, 9.0), (0.85, 3.5, 22.0), (0.7, 2.5, 46.0)]


@dataclass(frozen=True, eq=False)
class Regions:
    """Where each vertex belongs.

    Attributes:
        part: (V,) index into ``names``.
        names: Names of the parts; part 0 is the skin.
        t, a: (V,) coordinates on the skull, for skin vertices; 0 elsewhere.
        lip: (V,) +1 on the upper side of the mouth slit, -1 on the lower side, by row; 0 for other parts.
        mouth_ring: (V,) 1.. for the rims inside the mouth, else 0.
        lid_ring: (V,) 1.. for the rims inside the eyes, else 0.
        margin: (V,) +1 / -1 on the upper / lower margin of any slit and the rims that continue it, else 0.
    """

    part: np.ndarray
    names: tuple[str, ...]
    t: np.ndarray
    a: np.ndarray
    lip: np.ndarray
    mouth_ring: np.ndarray
    lid_ring: np.ndarray
    margin: np.ndarray


class Head:
    """A procedural head; ``neutral`` (V, 3) float64 mm, ``topology``, ``regions``, ``marks`` (landmarks)."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.marks = Landmarks(identity)
        self.skull = Skull(identity)
        self.sheet = SkinSheet(self.skull, self.marks)
        skin = self.skin(self.marks.aperture, self.marks.aperture)
        self._parts = [
            parts.eyeball(self.marks, +1),
            parts.eyeball(self.marks, -1),
            parts.ear(self.marks, +1, self._ear_anchor()),
            parts.ear(self.marks, -1, self._ear_anchor()),
            parts.teeth(self.marks, upper=True),
            parts.teeth(self.marks, upper=False),
        ]
        self.neutral = np.concatenate([skin, *(part.vertices for part in self._parts)])
        self.topology = self._build_topology()
        self.regions = self._build_regions()

    def part_slice(self, name: str) -> slice:
        """The vertices of a part: "skin", "eyeball_L", "ear_R", "teeth_upper", ..."""
        start = self.sheet.vertex_count
        if name == "skin":
            return slice(0, start)
        for part in self._parts:
            if part.name == name:
                return slice(start, start + len(part.vertices))
            start += len(part.vertices)
        raise KeyError(name)

    def skin(self, left: Aperture, right: Aperture) -> np.ndarray:
        """(N, 3) skin vertices with the lids of the left (x > 0) and right eye open as given."""
        sheet = self.sheet
        points = self.skin_points(sheet.t, sheet.a, sheet.margin, left, right)
        out = np.zeros((sheet.vertex_count, 3))
        out[: len(points)] = points
        for slit in sheet.slits:
            rims = self._mouth_rims(slit, out) if slit.name == "mouth" else self._lid_rims(slit, out)
            for ids, rim in zip(slit.rings, rims):
                out[ids] = rim
        return out

    def skin_points(self, t: np.ndarray, a: np.ndarray, margin: np.ndarray, left: Aperture, right: Aperture) -> np.ndarray:
        """(N, 3) points of the skin at grid coordinates ``t``, ``a``; ``margin`` (N,) tells the two sides of a slit apart."""
        a = self.sheet.column_coordinate(t, a)
        opened = self.opened_rows(t, a, margin, left, right)
        front = smoothstep(1.0, 0.86, np.abs(a))
        return sculpt(self.skull.points(opened, a), front, self.marks, (left, right))

    def opened_rows(self, t, a, margin, left: Aperture, right: Aperture, mouth: float = 0.0) -> np.ndarray:
        """``t`` (N,) moved so that the rows part around the eyes, and around the mouth by ``mouth`` mm."""
        face = np.flatnonzero((np.abs(a) < 1.0) & (t > 4.0) & (t < 17.0))
        x, y, _ = self.skull.points(t[face], a[face]).T
        shift = np.zeros(len(face))
        for sign, aperture in ((1.0, left), (-1.0, right)):
            mine = x * sign > 0
            shift = np.where(mine, self._eye_shift(x, y, margin[face], aperture), shift)
        shift = shift + self._mouth_shift(x, y, t[face], margin[face], mouth)
        moved = np.flatnonzero(shift)
        out = t.copy()
        out[face[moved]] = self.skull.row_at_height(a[face[moved]], y[moved] + shift[moved])
        return out

    def _eye_shift(self, x, y, margin, aperture: Aperture) -> np.ndarray:
        upper = (y > 1e-6) | ((np.abs(y) <= 1e-6) & (margin >= 0))
        line = self.marks.eye_line(x)
        target = np.where(upper, self.marks.lid_margin(x, True, aperture), self.marks.lid_margin(x, False, aperture))
        reach = np.where(upper, _UPPER_REACH, _LOWER_REACH)
        fade = np.clip(1.0 - np.abs(y) / reach, 0.0, 1.0) ** 2
        # Beyond the corners the tilt of the eye line dies out.
        inside = smoothstep(7.0, 0.0, np.maximum(np.abs(np.abs(x) - self.marks.eye_x) - 14.5, 0.0))
        return fade * np.where(inside > 0, line * inside + (target - line), 0.0)

    def _mouth_shift(self, x, y, t, margin, opening: float) -> np.ndarray:
        from_line = y - (-69.0)
        fade = np.clip(1.0 - np.abs(from_line) / np.where(from_line > 0, 22.0, 32.0), 0.0, 1.0) ** 2
        s = np.clip(np.abs(x) / self.marks.mouth_x, 0.0, 1.0)
        wave = (self.marks.mouth_line(x) + 69.0) * smoothstep(1.35, 1.0, np.abs(x) / self.marks.mouth_x)
        upper = (t < MOUTH) | ((t == MOUTH) & (margin > 0))
        split = np.where((t == MOUTH) & (margin == 0), 0.0, np.where(upper, 1.0, -1.3))
        return fade * (wave + opening * split * (1.0 - s**2) ** 0.6)

    def _lid_rims(self, slit: Slit, skin: np.ndarray) -> list[np.ndarray]:
        """The edge of the lids, down to the eyeball, and their inner side, tucked out of sight."""
        margin = skin[slit.loop]
        center = self.marks.eye_center * [1.0 if slit.name == "eye_L" else -1.0, 1.0, 1.0]
        ray = margin - center
        ray = ray / np.linalg.norm(ray, axis=1, keepdims=True)
        edge = center + (EYEBALL_RADIUS + 0.15) * ray
        outward = ray * [1.0, 1.0, 0.0]
        outward[:, 1] += 0.35 * slit.side
        tucked = center + (EYEBALL_RADIUS - 1.2) * ray + 2.2 * outward
        return [edge, tucked]

    def _mouth_rims(self, slit: Slit, skin: np.ndarray) -> list[np.ndarray]:
        """The inner lips and the walls of the mouth, back to the throat."""
        margin = skin[slit.loop]
        s = np.clip(np.abs(margin[:, 0]) / self.marks.mouth_x, 0.0, 1.0)
        arch = 0.12 + 0.88 * np.sqrt(np.clip(1.0 - s**2, 0.0, 1.0))
        side = slit.side
        rims = []
        for upper, lower in zip(_UPPER_MOUTH, _LOWER_MOUTH):
            scale, height, depth = (np.where(side >= 0, u, v) for u, v in zip(upper, lower))
            depth = depth * (0.35 + 0.65 * arch)
            rims.append(np.stack([margin[:, 0] * scale, margin[:, 1] + side * height * arch, margin[:, 2] - depth], -1))
        return rims

    def _ear_anchor(self) -> np.ndarray:
        at = self.skull.points(np.array([9.0]), np.array([1.06]))[0]
        return at * [1.0, 0.0, 1.0] + [0.0, -13.0, 0.0]

    def _build_topology(self) -> Topology:
        sheet = self.sheet
        uvs = [skin_uv(self)]
        faces, uv_faces = [sheet.faces], [sheet.uv_faces]
        count, uv_count = sheet.vertex_count, len(uvs[0])
        for part in self._parts:
            uvs.append(chart_in_atlas(part.name, part.chart))
            faces.append(part.faces + count)
            uv_faces.append(part.faces + uv_count)
            count, uv_count = count + len(part.vertices), uv_count + len(part.vertices)
        return Topology(np.concatenate(faces), np.concatenate(uvs), np.concatenate(uv_faces))

    def _build_regions(self) -> Regions:
        sheet, total = self.sheet, len(self.neutral)
        part = np.zeros(total, np.int32)
        for k, piece in enumerate(self._parts, start=1):
            part[self.part_slice(piece.name)] = k
        t, a, lip, mouth_ring, lid_ring, margin = (np.zeros(total) for _ in range(6))
        n = len(sheet.t)
        t[:n], a[:n], margin[:n] = sheet.t, sheet.a, sheet.margin
        lip[:n] = np.where((sheet.t < MOUTH) | ((sheet.t == MOUTH) & (sheet.margin > 0)), 1.0, -1.0)
        lip[:n][(sheet.t == MOUTH) & (sheet.margin == 0)] = 0.0
        for slit in sheet.slits:
            for k, ids in enumerate(slit.rings, start=1):
                t[ids], a[ids], margin[ids] = t[slit.loop], a[slit.loop], slit.side
                lip[ids] = slit.side if slit.name == "mouth" else 1.0
                (mouth_ring if slit.name == "mouth" else lid_ring)[ids] = k
        names = ("skin", *(piece.name for piece in self._parts))
        return Regions(part, names, t, a, lip, mouth_ring, lid_ring, margin)
