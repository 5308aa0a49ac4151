"""Vertex positions, head poses and topology of every frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from multiface.capture.capture import Capture
from multiface.capture.head_pose import read_head_pose
from multiface.capture.inspection.report import InspectionReport
from multiface.capture.names import FrameKey
from multiface.capture.obj import read_obj
from multiface.capture.vertices import count_vertices, read_vertices
from multiface.core.errors import CaptureError, FormatError
from multiface.geometry import Topology, is_rotation, rotation_error

_UV_TOLERANCE = 1e-4


def check_meshes(capture: Capture, report: InspectionReport, step: Callable[[int], None]) -> int | None:
    """Check every listed frame and return the number of vertices that most meshes have, ``None`` without meshes.

    Quick inspections take the vertex count from file sizes and read one .obj; full ones read every value.
    """
    topology = _topology(capture, report)
    keys = [key for key in capture.frames if capture.has_mesh(key)]
    n_vertices = _check_counts(capture, report, keys)
    if topology is not None:
        report.sizes["triangles"] = len(topology.faces)
        if n_vertices is not None and topology.n_vertices > n_vertices:
            what = f"topology refers to {topology.n_vertices} vertices, meshes have {n_vertices}"
            report.add(capture.layout.meshes, what)
    for key in capture.frames:
        if capture.has_head_pose(key):
            _check_pose(capture, report, key)
        if not report.quick:
            _check_values(capture, report, key, n_vertices, topology)
        step(1)
    return n_vertices


def _topology(capture: Capture, report: InspectionReport) -> Topology | None:
    try:
        return capture.topology
    except FormatError as error:
        report.add(Path((error.where or "").rpartition(", line ")[0] or error.where or capture.layout.meshes), error)
    except CaptureError as error:
        report.add(capture.layout.meshes, error)
    return None


def _check_counts(capture: Capture, report: InspectionReport, keys: list[FrameKey]) -> int | None:
    counts: dict[FrameKey, int] = {}
    for key in keys:
        try:
            counts[key] = count_vertices(capture.layout.vertices(key))
        except (FormatError, CaptureError) as error:
            report.add(capture.layout.vertices(key), error)
    if not counts:
        return None
    usual = Counter(counts.values()).most_common(1)[0][0]
    report.sizes["vertices"] = usual
    for key, count in counts.items():
        if count != usual:
            report.add(capture.layout.vertices(key), f"mesh has {count} vertices, the others of this capture have {usual}")
    return usual


def _check_pose(capture: Capture, report: InspectionReport, key: FrameKey) -> None:
    path = capture.layout.head_pose(key)
    try:
        R = read_head_pose(path)[:, :3]
    except (FormatError, CaptureError) as error:
        report.add(path, error)
        return
    if not is_rotation(R):
        report.add(path, f"head pose is not a rotation (R R^T differs from the identity by {rotation_error(R):.3g})")


def _check_values(
    capture: Capture, report: InspectionReport, key: FrameKey, n_vertices: int | None, topology: Topology | None
) -> None:
    layout = capture.layout
    if capture.has_mesh(key) and _length_is_right(layout.vertices(key), n_vertices):
        try:
            read_vertices(layout.vertices(key), n_vertices)
        except (FormatError, CaptureError) as error:
            report.add(layout.vertices(key), error)
    path = layout.mesh(key)
    if path.name not in capture.listing.files(path.parent):
        return
    try:
        mesh = read_obj(path)
    except (FormatError, CaptureError) as error:
        report.add(path, error)
        return
    if n_vertices is not None and len(mesh.vertices) != n_vertices:
        report.add(path, f"mesh has {len(mesh.vertices)} vertices, the .bin files of this capture have {n_vertices}")
    if topology is not None and not _same(mesh.topology, topology):
        report.add(path, "mesh has another topology than the others of this capture")


def _length_is_right(path: Path, n_vertices: int | None) -> bool:
    """Whether the values are worth reading; a wrong length has been noted already."""
    try:
        return count_vertices(path) == n_vertices
    except (FormatError, CaptureError):
        return False


def _same(a: Topology, b: Topology) -> bool:
    return (
        np.array_equal(a.faces, b.faces)
        and np.array_equal(a.uv_faces, b.uv_faces)
        and a.uvs.shape == b.uvs.shape
        and bool(np.allclose(a.uvs, b.uvs, atol=_UV_TOLERANCE))
    )
