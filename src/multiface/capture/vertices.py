"""Vertex positions: headerless little-endian float32, x0 y0 z0 x1 y1 z1 ..."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multiface.capture.text import file_size, read_bytes
from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import write_bytes

_LIMIT = 192 << 20
_BYTES_PER_VERTEX = 12
_KIND = "mesh (.bin)"


def count_vertices(path: str | Path) -> int:
    """Number of vertices in a file, from its size alone.

    Raises:
        CaptureError: there is no such file.
        FormatError: it is empty, or no whole number of vertices.
    """
    return _count(path, file_size(path, limit=_LIMIT, kind=_KIND), None)


def read_vertices(path: str | Path, n_vertices: int | None = None) -> np.ndarray:
    """(V, 3) float32 positions in head space, millimetres.

    Args:
        path: The file.
        n_vertices: How many there must be; any number when absent.

    Raises:
        CaptureError: there is no such file.
        FormatError: its length is wrong, or a value is NaN or infinite.
    """
    size = file_size(path, limit=_LIMIT, kind=_KIND)
    _count(path, size, n_vertices)
    data = read_bytes(path, limit=size, kind=_KIND)
    _count(path, len(data), n_vertices)
    vertices = np.frombuffer(data, "<f4").reshape(-1, 3).astype(np.float32)
    if not np.isfinite(vertices).all():
        bad = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
        raise FormatError(
            "mesh holds a position that is not finite",
            where=path,
            found=f"vertex {bad} at {vertices[bad].tolist()}",
            remedy="Copy the file again, or leave that frame out",
        )
    return vertices


def write_vertices(path: str | Path, vertices: np.ndarray) -> None:
    """Write (V, 3) or (3 V,) positions as float32.

    Raises:
        ArgumentError: another shape, or values that are not finite.
        StorageError: the file cannot be written.
    """
    values = np.asarray(vertices)
    if values.size == 0 or values.size % 3 or values.ndim > 2 or (values.ndim == 2 and values.shape[1] != 3):
        raise ArgumentError("vertices have the wrong shape", where=path, expected="(V, 3)", found=values.shape)
    with np.errstate(over="ignore"):
        values = values.astype("<f4")
    if not np.isfinite(values).all():
        raise ArgumentError("vertices are not finite in float32", where=path)
    write_bytes(path, values.tobytes())


def _count(path: str | Path, size: int, n_vertices: int | None) -> int:
    count, rest = divmod(size, _BYTES_PER_VERTEX)
    if rest or count == 0 or n_vertices not in (None, count):
        wanted = "a multiple of 12 bytes" if n_vertices is None else f"{n_vertices * 12:,} bytes ({n_vertices} vertices)"
        raise FormatError(
            "mesh has the wrong length",
            where=path,
            expected=f"{wanted}, float32 x y z each",
            found=f"{size:,} bytes",
            remedy="Copy the file again, or leave that frame out",
        )
    return count
