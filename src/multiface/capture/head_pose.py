"""<frame>_transform.txt: the head pose, 3 rows of 4 numbers, head space -> world space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multiface.capture.text import at_line, number_text, parse_numbers, read_lines
from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import write_text

_LIMIT = 64 << 10


def read_head_pose(path: str | Path) -> np.ndarray:
    """(3, 4) float64 [R_f | t_f], millimetres. That R_f is a rotation is not checked here (``inspect`` does).

    Raises:
        CaptureError: there is no such file.
        FormatError: not 3 rows of 4 finite numbers (blank lines do not count).
    """
    numbered = [(n, line) for n, line in enumerate(read_lines(path, limit=_LIMIT, kind="head pose"), 1) if line.strip()]
    if len(numbered) != 3:
        raise FormatError(
            "head pose has the wrong number of rows",
            where=path,
            expected="3 rows of 4 numbers",
            found=f"{len(numbered)} rows",
            remedy="Copy the file again, or leave that frame out",
        )
    rows = [
        parse_numbers(line, count=4, where=at_line(path, number), meaning=f"row {row} of the head pose")
        for row, (number, line) in enumerate(numbered, start=1)
    ]
    return np.array(rows, np.float64)


def write_head_pose(path: str | Path, head_pose: np.ndarray) -> None:
    """Write a (3, 4) matrix with as many digits as float64 needs.

    Raises:
        ArgumentError: another shape, or values that are not finite.
        StorageError: the file cannot be written.
    """
    pose = np.asarray(head_pose, np.float64)
    if pose.shape != (3, 4) or not np.isfinite(pose).all():
        raise ArgumentError("head pose cannot be written", where=path, expected="(3, 4) finite numbers", found=pose.shape)
    write_text(path, "".join(" ".join(map(number_text, row)) + "\n" for row in pose))
