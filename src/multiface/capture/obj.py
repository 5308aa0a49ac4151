"""Wavefront .obj: the subset v, vt and f. Captures use it for the topology; positions come from the .bin files."""

from __future__ import annotations

from array import array
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from multiface.capture.text import at_line, parse_numbers, quoted, read_lines
from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import write_text
from multiface.geometry import Topology

_LIMIT = 128 << 20
_FIELDS = {"v": ("position", 3), "vt": ("texture coordinate", 2)}


class ObjMesh(NamedTuple):
    """Content of an .obj file."""

    vertices: np.ndarray
    """(V, 3) float32."""
    topology: Topology


class _Corners:
    """Corners of triangles as read: one-based indices, and the line each triangle came from."""

    def __init__(self) -> None:
        self.vertex = array("q")
        self.uv = array("q")
        self.line = array("q")


def read_obj(path: str | Path) -> ObjMesh:
    """Positions, triangles and texture coordinates.

    Any blanks between fields, ``a/b`` and ``a/b/n`` corners and negative (relative) indices are understood. Polygons
    are split into a fan of triangles from their first corner. All other kinds of lines are ignored.

    Raises:
        CaptureError: there is no such file.
        FormatError: a value is no finite number, a face has under three corners or a corner without texture coordinate,
            an index points to nothing, or there is no face. The line is named.
    """
    values = {"v": array("d"), "vt": array("d")}
    corners = _Corners()
    for number, line in enumerate(read_lines(path, limit=_LIMIT, kind="mesh (.obj)"), start=1):
        keyword, _, rest = line.partition("#")[0].strip().replace("\t", " ").partition(" ")
        if keyword in _FIELDS:
            values[keyword].extend(_coordinates(keyword, rest, at_line(path, number)))
        elif keyword == "f":
            counts = len(values["v"]) // 3, len(values["vt"]) // 2
            _add_face(corners, rest, counts, number, path)
    vertices = _float32(values["v"], 3, path)
    uvs = _float32(values["vt"], 2, path)
    if not corners.line:
        raise FormatError("mesh has no faces", where=path, expected="lines such as: f 1/1 2/2 3/3")
    faces = _indices(corners.vertex, corners.line, len(vertices), "vertex", path)
    uv_faces = _indices(corners.uv, corners.line, len(uvs), "texture coordinate", path)
    return ObjMesh(vertices, Topology(faces=faces, uvs=uvs, uv_faces=uv_faces))


def _float32(values: array, columns: int, path: str | Path) -> np.ndarray:
    with np.errstate(over="ignore"):
        result = np.array(values, np.float64).astype(np.float32).reshape(-1, columns)
    if not np.isfinite(result).all():
        raise FormatError("mesh holds a coordinate too large for float32", where=path, found=max(map(abs, values)))
    return result


def _coordinates(keyword: str, text: str, where: str) -> list[float]:
    meaning, count = _FIELDS[keyword]
    words = text.split()
    # Weights and vertex colours may follow; they are no part of the subset.
    return parse_numbers(" ".join(words[:count]), count=count, where=where, meaning=meaning)


def _add_face(corners: _Corners, text: str, counts: tuple[int, int], line: int, path: str | Path) -> None:
    read = [_corner(word, counts, line, path) for word in text.split()]
    if len(read) < 3:
        raise FormatError(
            "face has too few corners", where=at_line(path, line), expected="at least 3", found=quoted(text), remedy="Remove it"
        )
    for second, third in pairwise(read[1:]):
        for vertex, uv in (read[0], second, third):
            corners.vertex.append(vertex)
            corners.uv.append(uv)
        corners.line.append(line)


def _corner(word: str, counts: tuple[int, int], line: int, path: str | Path) -> tuple[int, int]:
    fields = word.split("/")
    try:
        vertex, uv = int(fields[0]), int(fields[1])
        if len(fields) > 3 or "_" in word or max(abs(vertex), abs(uv)) > 2**31:
            raise ValueError
    except (ValueError, IndexError):
        no_uv = "/" not in word or (len(fields) > 1 and fields[1] == "")
        raise FormatError(
            "face has a corner without texture coordinate" if no_uv else "face has a corner that cannot be read",
            where=at_line(path, line),
            expected="vertex/uv, such as 12/7, or vertex/uv/normal",
            found=quoted(word),
            remedy="Export the mesh with texture coordinates",
        ) from None
    return (vertex + counts[0] + 1 if vertex < 0 else vertex), (uv + counts[1] + 1 if uv < 0 else uv)


def _indices(one_based: array, lines: array, count: int, what: str, path: str | Path) -> np.ndarray:
    indices = np.array(one_based, np.int64).reshape(-1, 3) - 1
    outside = ((indices < 0) | (indices >= count)).any(axis=1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise FormatError(
            f"face refers to a {what} that does not exist",
            where=at_line(path, lines[first]),
            expected=f"1..{count}" if count else f"lines with {what}s in the file",
            found=", ".join(map(str, (indices[first] + 1).tolist())),
        )
    return indices.astype(np.int32)


def write_obj(path: str | Path, vertices: np.ndarray, topology: Topology) -> None:
    """Write positions (V, 3) and topology, as float32 and with as many digits as that needs.

    Raises:
        ArgumentError: a face refers to a vertex beyond ``vertices``, or a value is not finite.
        StorageError: the file cannot be written.
    """
    positions = np.asarray(vertices, np.float32)
    if positions.ndim != 2 or positions.shape[1] != 3 or topology.n_vertices > len(positions):
        raise ArgumentError("vertices do not fit the topology", expected=f"({topology.n_vertices}+, 3)", found=positions.shape)
    if not (np.isfinite(positions).all() and np.isfinite(topology.uvs).all()):
        raise ArgumentError("mesh is not finite", where=path)
    # Nine significant digits are what every float32 needs to read back as itself.
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in positions.tolist()]
    lines += [f"vt {u:.9g} {v:.9g}" for u, v in topology.uvs.tolist()]
    corners = np.stack([topology.faces, topology.uv_faces], axis=-1).astype(np.int64) + 1
    lines += ["f {}/{} {}/{} {}/{}".format(*face) for face in corners.reshape(-1, 6).tolist()]
    write_text(path, "\n".join(lines) + "\n")
