"""The four files that textures and meshes are normalised with."""

from __future__ import annotations

from pathlib import Path

from multiface.capture.capture import Capture
from multiface.capture.image import image_size, read_image
from multiface.capture.inspection.report import InspectionReport
from multiface.capture.statistics import read_scalar
from multiface.capture.vertices import read_vertices
from multiface.core.errors import CaptureError, FormatError


def check_statistics(capture: Capture, report: InspectionReport, n_vertices: int | None) -> None:
    """Note missing or unusable statistics; ``n_vertices`` is what the meshes have."""
    layout = capture.layout
    for path in (layout.tex_mean, layout.tex_var, layout.vert_mean, layout.vert_var):
        if not path.exists():
            report.add(path, "missing; multiface unwrap computes it")
            continue
        try:
            if path == layout.tex_mean:
                _check_mean_texture(capture, report, path)
            elif path == layout.vert_mean:
                read_vertices(path, n_vertices)
            elif read_scalar(path) <= 0:
                report.add(path, f"variance must be positive (found {read_scalar(path):g})")
        except (FormatError, CaptureError) as error:
            report.add(path, error)


def _check_mean_texture(capture: Capture, report: InspectionReport, path: Path) -> None:
    height, width = image_size(path) if report.quick else read_image(path).shape[:2]
    sizes = capture.texture_sizes or (height,)
    if height != width or height not in sizes:
        wanted = " or ".join(f"{size} x {size}" for size in sizes)
        report.add(path, f"mean texture has the wrong size (expected {wanted}, found {width} x {height})")
