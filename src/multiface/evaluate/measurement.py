"""What a test found: means over samples with confidence intervals over frames, altogether, by segment and by camera.

Intervals are 95 % of Student's t about the mean, with frames as the independent units: all cameras of a frame look at
the same face, so they count as one observation (the linearised variance of a ratio of sums over clusters; Cochran,
"Sampling Techniques", 1977, section 9A). Neighbouring frames are alike too, so intervals tell how far another draw of such
frames would move the figure, and are narrow for new sentences or new people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from multiface.evaluate.samples import SampleTable

BASE_KEYS = ("tex", "tex_denorm", "tex_psnr", "mesh", "mesh_mm")
PICTURE_KEYS = ("screen", "psnr", "ssim", "lpips")
KEYS = (*BASE_KEYS, *PICTURE_KEYS)
"""Metrics in the order of tables; regions of the mesh (``mesh_mm_<region>``) follow ``mesh_mm``."""

_ALWAYS = tuple(key for key in KEYS if key != "lpips")
_CONFIDENCE_Z = 1.959964  # the 97.5 % quantile of the normal distribution


@dataclass
class Measurement:
    """Means over all samples of a test set, each sample counting once.

    Attributes:
        samples: Number of (frame, camera) pairs.
        values: ``tex`` (normalised), ``tex_denorm`` (squared error in 0..255), ``tex_psnr`` (dB over seen texels), ``mesh``
            (normalised), ``mesh_mm`` (mean distance, mm) and by region, and with photos ``screen`` (published unit), ``psnr``
            (dB), ``ssim`` and ``lpips`` inside the rendered mask.
        intervals: Half the width of each value's 95 % confidence interval; absent where one frame alone tells nothing.
        frames: Number of frames.
        table: Values of every sample, or None.
    """

    samples: int
    values: dict[str, float]
    intervals: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    table: SampleTable | None = field(default=None, repr=False)

    @staticmethod
    def of(table: SampleTable) -> Measurement:
        """Means and intervals of a table."""
        return _measure(table, np.arange(len(table.samples)), keep=True)

    @cached_property
    def by_segment(self) -> dict[str, Measurement]:
        """One measurement for each segment, in order of appearance."""
        return self._grouped(lambda sample: sample.key.segment)

    @cached_property
    def by_camera(self) -> dict[str, Measurement]:
        """One measurement for each camera, by name."""
        return dict(sorted(self._grouped(lambda sample: sample.camera).items()))

    @property
    def keys(self) -> tuple[str, ...]:
        """Metrics that were measured, in the order of tables."""
        return ordered_keys(self.values)

    def worst(self, key: str, count: int) -> list[int]:
        """Rows of the samples with the worst values of a metric, the worst first; at most one sample of each frame."""
        if self.table is None:
            return []
        badness = self.table.column(key) * (-1 if larger_is_better(key) else 1)
        rows: list[int] = []
        seen = set()
        for row in np.argsort(-np.nan_to_num(badness, nan=-np.inf), kind="stable").tolist():
            frame = self.table.samples[row].key
            if len(rows) < count and frame not in seen and np.isfinite(badness[row]):
                seen.add(frame)
                rows.append(row)
        return rows

    def to_json(self) -> dict[str, float | None]:
        """Metric -> mean; None where there was nothing to measure."""
        return {key: self.values.get(key) for key in ordered_keys({**dict.fromkeys(_ALWAYS), **self.values})}

    def details_json(self) -> dict[str, object]:
        """Intervals, number of frames, and the same by segment and by camera."""
        groups = {"segments": self.by_segment, "cameras": self.by_camera}
        rows = {kind: {name: group._row() for name, group in found.items()} for kind, found in groups.items()}
        return {"ci95": dict(self.intervals), "frames": self.frames, **rows}

    def _row(self) -> dict[str, object]:
        return {**self.values, "ci95": self.intervals, "samples": self.samples, "frames": self.frames}

    def _grouped(self, name_of: Callable) -> dict[str, Measurement]:
        if self.table is None:
            return {}
        rows: dict[str, list[int]] = {}
        for row, sample in enumerate(self.table.samples):
            rows.setdefault(name_of(sample), []).append(row)
        return {name: _measure(self.table, np.array(chosen)) for name, chosen in rows.items()}


def ordered_keys(values) -> tuple[str, ...]:
    """The names of ``values`` in the order of tables."""
    regions = [key for key in values if key.startswith("mesh_mm_")]
    order = [*BASE_KEYS, *regions, *PICTURE_KEYS]
    return tuple(key for key in order if key in values)


def larger_is_better(key: str) -> bool:
    """Whether a larger value of a metric is a better one."""
    return key in ("psnr", "ssim", "tex_psnr")


def mean_and_interval(values: np.ndarray, frames: Sequence[int] | np.ndarray) -> tuple[float, float | None]:
    """Mean of ``values`` (N,) and half the width of its 95 % interval, with the entries of a frame as one observation.

    Args:
        values: One value per sample; NaN is left out.
        frames: (N,) number of each sample's frame.

    Returns:
        The mean (NaN of nothing) and the half width; None for fewer than two frames.
    """
    there = np.isfinite(values)
    if not there.any():
        infinite = values[~np.isnan(values)]
        return (float(infinite[0]) if len(infinite) else float("nan")), None
    _, cluster = np.unique(np.asarray(frames)[there], return_inverse=True)
    sums = np.bincount(cluster, weights=values[there])
    counts = np.bincount(cluster)
    total, n = counts.sum(), len(counts)
    mean = float(sums.sum() / total)
    if n < 2:
        return mean, None
    variance = n / (n - 1) * float(np.square(sums - mean * counts).sum()) / total**2
    return mean, _student_quantile(n - 1) * variance**0.5


def _student_quantile(freedom: int) -> float:
    """97.5 % quantile of Student's t (Abramowitz and Stegun, 26.7.5; exact for 1 and 2, where the series is not)."""
    exact = {1: 12.7062, 2: 4.30265}
    if freedom in exact:
        return exact[freedom]
    z = _CONFIDENCE_Z
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def _measure(table: SampleTable, rows: np.ndarray, *, keep: bool = False) -> Measurement:
    numbers: dict[object, int] = {}
    frames = np.array([numbers.setdefault(table.samples[row].key, len(numbers)) for row in rows.tolist()], np.int64)
    values, intervals = {}, {}
    for column, name in enumerate(table.columns):
        values[name], half = mean_and_interval(table.values[rows, column], frames)
        if half is not None:
            intervals[name] = half
    return Measurement(len(rows), values, intervals, len(numbers), table if keep else None)
