"""Means and variances over a capture: tex_mean.png, tex_var.txt, vert_mean.bin, vert_var.txt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multiface.capture.image import read_image, write_image
from multiface.capture.layout import CaptureLayout
from multiface.capture.text import at_line, number_text, parse_numbers, read_lines
from multiface.capture.vertices import read_vertices, write_vertices
from multiface.core.errors import ArgumentError, CaptureError, FormatError
from multiface.core.files import write_text

_LIMIT = 4 << 10


@dataclass(frozen=True, eq=False)
class Statistics:
    """What textures and meshes of a capture are normalised with.

    Attributes:
        tex_mean: (T, T, 3) uint8 mean texture over all frames and cameras, rows as in the file.
        tex_var: One variance for all texels and channels, in units of 0..255 squared; positive.
        vert_mean: (V, 3) float32 mean positions, head space, mm.
        vert_var: One variance for all coordinates, mm squared; positive.
    """

    tex_mean: np.ndarray
    tex_var: float
    vert_mean: np.ndarray
    vert_var: float

    @property
    def tex_std(self) -> float:
        return math.sqrt(self.tex_var)

    @property
    def vert_std(self) -> float:
        return math.sqrt(self.vert_var)


def read_scalar(path: str | Path) -> float:
    """The one finite number of a text file.

    Raises:
        CaptureError: there is no such file.
        FormatError: not exactly one number.
    """
    numbered = [(n, line) for n, line in enumerate(read_lines(path, limit=_LIMIT, kind="number"), 1) if line.strip()]
    if len(numbered) != 1:
        raise FormatError("file must hold one number", where=path, expected="one line", found=f"{len(numbered)} lines")
    number, line = numbered[0]
    return parse_numbers(line, count=1, where=at_line(path, number), meaning="the number")[0]


def write_scalar(path: str | Path, value: float) -> None:
    """Write one number with as many digits as float64 needs.

    Raises:
        ArgumentError: it is not finite.
        StorageError: the file cannot be written.
    """
    if not math.isfinite(value):
        raise ArgumentError("number is not finite", where=path, found=value)
    write_text(path, number_text(value) + "\n")


def read_statistics(layout: CaptureLayout, n_vertices: int | None = None) -> Statistics:
    """All four files.

    Raises:
        CaptureError: a file is missing; it is named, and what to run.
        FormatError: the mean texture is not square, the mean mesh has not ``n_vertices``, a variance is not positive.
    """
    missing = [p.name for p in (layout.tex_mean, layout.tex_var, layout.vert_mean, layout.vert_var) if not p.is_file()]
    if missing:
        raise CaptureError(
            f"capture lacks its statistics: {', '.join(missing)}",
            where=layout.root,
            remedy=f"Compute them with: multiface unwrap {layout.root}",
        )
    tex_mean = read_image(layout.tex_mean)
    if tex_mean.shape[0] != tex_mean.shape[1]:
        raise FormatError("mean texture is not square", where=layout.tex_mean, found=tex_mean.shape[:2])
    vert_mean = read_vertices(layout.vert_mean, n_vertices)
    return Statistics(tex_mean, _variance(layout.tex_var), vert_mean, _variance(layout.vert_var))


def write_statistics(layout: CaptureLayout, statistics: Statistics) -> None:
    """Write all four files.

    Raises:
        ArgumentError: a variance is not positive, or an array has the wrong shape or type.
        StorageError: a file cannot be written.
    """
    for name, value in (("tex_var", statistics.tex_var), ("vert_var", statistics.vert_var)):
        if not value > 0:
            raise ArgumentError(f"{name} must be positive", where=layout.root, found=value)
    write_image(layout.tex_mean, statistics.tex_mean)
    write_scalar(layout.tex_var, statistics.tex_var)
    write_vertices(layout.vert_mean, statistics.vert_mean)
    write_scalar(layout.vert_var, statistics.vert_var)


def _variance(path: Path) -> float:
    value = read_scalar(path)
    if value <= 0:
        raise FormatError(
            "variance must be positive",
            where=path,
            found=value,
            remedy=f"Compute the statistics again with: multiface unwrap {path.parent}",
        )
    return value
