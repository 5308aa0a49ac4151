"""A person's own head on the stage: mesh, topology, texture, and expressions where there are some."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np

from multiface.capture import read_image, read_obj, read_vertices
from multiface.core.errors import CaptureError, FormatError
from multiface.geometry import Topology, flip_rows, to_head
from multiface.prepare.stage.actor import Actor
from multiface.prepare.stage.config import StageConfig
from multiface.prepare.stage.expressions import Expressions
from multiface.prepare.stage.film import CAMERA_RESPONSE
from multiface.prepare.stage.lighting import light_access, stage_lamps
from multiface.prepare.stage.materials import SKIN, Materials, fill_gutter, slope_of
from multiface.prepare.stage.splines import smoothstep
from multiface.prepare.uv_map import UvMap

_LARGEST = 4 << 30  # bytes of one array of an expressions file
_EXPOSURE = 1.5  # light that a frontal patch receives on the stage; a texture is taken to hold reflectance times this


def own_actor(config: StageConfig, rest_pose: np.ndarray, map_size: int) -> Actor:
    """The head that the files of ``config`` describe, standing at ``rest_pose`` (3, 4).

    Raises:
        CaptureError: a file is missing.
        FormatError: a file cannot be read, or the files do not fit together.
    """
    mesh_path, topology_path, texture_path = config.mesh, config.topology, config.texture
    if mesh_path is None or topology_path is None or texture_path is None:
        raise CaptureError("an own head needs --mesh, --topology and --texture")
    topology = read_obj(topology_path).topology
    neutral = read_vertices(mesh_path)
    if len(neutral) < topology.n_vertices:
        raise FormatError(
            "mesh and topology do not fit together",
            where=mesh_path,
            expected=f"at least the {topology.n_vertices} vertices of {topology_path}",
            found=len(neutral),
        )
    if config.expressions is not None:
        expressions, rest = read_expressions(config.expressions, len(neutral))
        neutral = neutral if rest is None else rest
    else:
        expressions = generic_expressions(neutral)
    lamps = to_head(rest_pose, stage_lamps(rest_pose).positions)
    materials = _materials(read_image(texture_path), topology, neutral, map_size)
    return Actor(neutral, topology, expressions, materials, light_access(neutral, topology, lamps))


def read_expressions(path: Path, n_vertices: int) -> tuple[Expressions, np.ndarray | None]:
    """Expressions for a mesh of ``n_vertices``, and the (V, 3) float32 neutral that they start from, if the file has one.

    Raises:
        CaptureError: no such file.
        FormatError: not such a file (pickled objects are refused), or for another mesh.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            _check_sizes(path)
            missing = [key for key in ("names", "deltas") if key not in file.files]
            if missing:
                raise FormatError(
                    "expressions lack an array", where=path, expected="names, deltas", found=", ".join(file.files) or "none"
                )
            names, deltas = file["names"], file["deltas"]
            neutral = file["neutral"] if "neutral" in file.files else None
    except FileNotFoundError as error:
        raise CaptureError("there is no such file", where=path) from error
    except (ValueError, OSError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"expressions cannot be read: {error}", where=path, expected=".npz of plain arrays") from error
    _check_arrays(path, names, deltas, neutral, n_vertices)
    shapes = Expressions(tuple(str(name) for name in names), deltas.astype(np.float32))
    return shapes, None if neutral is None else neutral.astype(np.float32)


def _check_sizes(path: Path) -> None:
    """Refuse an archive that would unpack to more than anyone's expressions take."""
    with zipfile.ZipFile(path) as archive:
        largest = max((entry.file_size for entry in archive.infolist()), default=0)
    if largest > _LARGEST:
        raise FormatError(
            "expressions are too large", where=path, expected=f"at most {_LARGEST:,} bytes an array", found=f"{largest:,}"
        )


def _check_arrays(path: Path, names: np.ndarray, deltas: np.ndarray, neutral: np.ndarray | None, count: int) -> None:
    if names.ndim != 1 or names.dtype.kind != "U":
        raise FormatError("names of expressions are no list of words", where=path, expected="(E,) text", found=names.dtype)
    if deltas.shape != (len(names), count, 3) or deltas.dtype.kind != "f":
        raise FormatError(
            "expressions are for another mesh",
            where=path,
            expected=f"deltas of shape ({len(names)}, {count}, 3)",
            found=f"{deltas.shape} {deltas.dtype}",
        )
    if neutral is not None and neutral.shape != (count, 3):
        raise FormatError("neutral is of another mesh", where=path, expected=f"({count}, 3)", found=neutral.shape)
    if not np.isfinite(deltas).all() or (neutral is not None and not np.isfinite(neutral).all()):
        raise FormatError("expressions hold numbers that are not finite", where=path)


def generic_expressions(neutral: np.ndarray) -> Expressions:
    """A few smooth movements of any head (V, 3), mm: by place alone, under the names of the expressions they come near."""
    low, high = np.percentile(neutral, 2, axis=0), np.percentile(neutral, 98, axis=0)
    x, y, z = ((neutral - low) / np.maximum(high - low, 1e-6)).T.astype(np.float64)
    side = 2.0 * x - 1.0
    front = smoothstep(0.35, 0.75, z)
    height = float(high[1] - low[1])
    size = 0.012 * height
    zero = np.zeros_like(side)

    def shape(weight: np.ndarray, dx: float | np.ndarray, dy: float, dz: float) -> np.ndarray:
        return size * (front * weight)[:, None] * np.stack([zero + dx, zero + dy, zero + dz], -1)

    lower, cheeks = smoothstep(0.45, 0.25, y) * smoothstep(0.05, 0.2, y), np.exp(-(((y - 0.42) / 0.12) ** 2))
    brows = np.exp(-(((y - 0.68) / 0.10) ** 2))
    left, right = smoothstep(-0.1, 0.4, side), smoothstep(0.1, -0.4, side)
    shapes = {
        "browInnerUp_L": shape(brows * left, 0, 1.6, 0.2),
        "browInnerUp_R": shape(brows * right, 0, 1.6, 0.2),
        "cheekPuff_L": shape(cheeks * left, 1.8, 0, 0.9),
        "cheekPuff_R": shape(cheeks * right, -1.8, 0, 0.9),
        "jawOpen": shape(lower, 0, -3.0, -0.6),
        "mouthFrown_L": shape(lower * left, 0, -1.0, 0),
        "mouthFrown_R": shape(lower * right, 0, -1.0, 0),
        "mouthPucker": shape(lower, -1.2 * side, 0, 1.6),
        "mouthSmile_L": shape(cheeks * left, 0.8, 1.4, 0.3),
        "mouthSmile_R": shape(cheeks * right, -0.8, 1.4, 0.3),
    }
    return Expressions(tuple(shapes), np.stack(list(shapes.values())).astype(np.float32))


def _materials(picture: np.ndarray, topology: Topology, neutral: np.ndarray, size: int) -> Materials:
    """The texture as reflectance, with a fine relief guessed from its small detail; ordinary skin everywhere."""
    shrink = min(picture.shape[:2]) > size
    resized = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    camera = flip_rows(resized).astype(np.float32) / 255.0
    seen = camera.max(axis=-1) > 0
    surface = UvMap(topology, size).surface(neutral)
    known = seen & (surface.uv_map.triangle >= 0)
    if not known.any():
        raise FormatError("the texture is black wherever the topology uses it")
    color = camera / CAMERA_RESPONSE.astype(np.float32) / _EXPOSURE
    color[~known] = np.median(color[known], axis=0)
    color = np.clip(fill_gutter(color, known, width=12), 0.0, 1.0)
    gray = color.mean(axis=-1)
    blur = cv2.GaussianBlur(gray, (0, 0), 2.0 * size / 1024)
    height = 0.6 * np.clip((gray - blur) / np.maximum(blur, 0.02), -0.4, 0.4)
    flat = np.ones((size, size), np.float32)
    kind = np.full(len(topology.faces), SKIN, np.int32)
    return Materials(color.astype(np.float32), slope_of(height, surface, limit=0.4), flat, 0.40 * flat, kind)
