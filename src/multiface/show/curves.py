"""Curves as inline SVG, without a script and without colours of their own: the page's style sheet gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from multiface.core.errors import ArgumentError
from multiface.show.axes import Axis, linear_axis, log_axis, tick_label

WIDTH, HEIGHT = 500, 310
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 34, 44
BUCKETS = 220
COLOURS = 6
"""Number of distinct line colours (classes ``c0`` to ``c5`` of the style sheet); more series repeat them, dashed."""

Series = Mapping[str, tuple["np.typing.ArrayLike", "np.typing.ArrayLike"]]


@dataclass(frozen=True)
class _Line:
    name: str
    reach: np.ndarray
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def line_chart(series: Series, *, x_label: str = "", y_label: str = "", log: bool = False) -> Markup:
    """An SVG element with one line per series.

    Long series are gathered into buckets of neighbours: the line is their mean, the shade behind it holds eight in ten of
    them, so that a few outliers do not decide the scale.

    Args:
        series: Name -> (x, y), numbers of equal count. Values that are not finite leave a gap at their place; on a
            logarithmic axis so do values that are not above 0.
        x_label: Text under the chart.
        y_label: Text of the vertical axis, at its top.
        log: Logarithmic vertical axis.

    Raises:
        ArgumentError: x and y of a series differ in count.
    """
    lines = [line for name, (x, y) in series.items() if (line := _gather(name, x, y, log)) is not None]
    if not lines:
        return Markup(
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="no values">'
            f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">no values to draw</text></svg>'
        )
    x_axis = linear_axis(np.concatenate([line.reach for line in lines]), round_limits=False)
    heights = np.concatenate([np.concatenate([line.low, line.high]) for line in lines])
    heights = heights[np.isfinite(heights)]
    y_axis = log_axis(heights) if log else linear_axis(heights)
    name = f"{y_label or 'curves'} against {x_label or 'x'}: " + ", ".join(line.name for line in lines)
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}" data-chart="{}">').format(
            WIDTH, HEIGHT, name, _hover_data(lines, x_axis, y_axis)
        ),
        _grid(x_axis, y_axis, x_label, y_label),
        *(_draw(index, line, x_axis, y_axis) for index, line in enumerate(lines)),
        Markup('<line class="cross" y1="{}" y2="{}" visibility="hidden"></line></svg>').format(TOP, HEIGHT - BOTTOM),
    ]
    return Markup("").join(parts)


def line_class(index: int) -> str:
    """Style classes of the line with this number, for the chart and for its legend."""
    return f"c{index % COLOURS}" + (" dashed" if index >= COLOURS else "")


def _gather(name: str, x, y, log: bool) -> _Line | None:
    x, y = np.asarray(x, np.float64).reshape(-1), np.asarray(y, np.float64).reshape(-1)
    if x.shape != y.shape:
        raise ArgumentError(f"the curve '{name}' has x and y of different counts", found=f"{x.size} and {y.size}")
    good = np.isfinite(x)
    x, y = x[good], y[good]
    y = np.where(np.isfinite(y) & ((y > 0) | (not log)), y, np.nan)
    if not np.isfinite(y).any():
        return None
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, BUCKETS) if len(order) > 2 * BUCKETS else np.array_split(order, len(order))
    rows = [(x[part].mean(), *_bucket(y[part])) for part in parts]
    return _Line(name, x[order[[0, -1]]], *(np.array(column) for column in zip(*rows)))


def _bucket(values: np.ndarray) -> tuple[float, float, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, mean, mean
    low, high = np.percentile(values, (10, 90))
    return mean, min(mean, float(low)), max(mean, float(high))


def _columns(axis: Axis, values: np.ndarray) -> np.ndarray:
    return LEFT + axis.place(values) * (WIDTH - LEFT - RIGHT)


def _rows(axis: Axis, values: np.ndarray) -> np.ndarray:
    return HEIGHT - BOTTOM - axis.place(values) * (HEIGHT - TOP - BOTTOM)


def _grid(x_axis: Axis, y_axis: Axis, x_label: str, y_label: str) -> Markup:
    parts = []
    for value in y_axis.ticks:
        row = float(_rows(y_axis, np.array(value)))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{row:.1f}" y2="{row:.1f}"></line>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{row + 4:.1f}" text-anchor="end">{tick_label(value)}</text>')
    base = HEIGHT - BOTTOM
    parts.append(f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"></line>')
    for value in x_axis.ticks:
        column = float(_columns(x_axis, np.array(value)))
        anchor = "end" if column > WIDTH - RIGHT - 14 else "middle"
        parts.append(f'<line class="base" x1="{column:.1f}" x2="{column:.1f}" y1="{base}" y2="{base + 4}"></line>')
        parts.append(f'<text class="tick" x="{column:.1f}" y="{base + 18}" text-anchor="{anchor}">{tick_label(value)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="name" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    if y_label:
        parts.append(f'<text class="name" x="0" y="14">{escape(y_label)}</text>')
    return Markup("".join(parts))


def _draw(index: int, line: _Line, x_axis: Axis, y_axis: Axis) -> Markup:
    columns, style = _columns(x_axis, line.x), line_class(index)
    parts = []
    for run in _runs(np.isfinite(line.mean)):
        middle, low, high = (_rows(y_axis, values[run]) for values in (line.mean, line.low, line.high))
        along = columns[run]
        if (low - high).max() > 0.5:
            outline = _points(np.concatenate([along, along[::-1]]), np.concatenate([high, low[::-1]]))
            parts.append(f'<polygon class="band {style}" points="{outline}"></polygon>')
        if len(along) == 1:
            parts.append(f'<circle class="dot {style}" cx="{along[0]:.1f}" cy="{middle[0]:.1f}" r="3"></circle>')
        else:
            parts.append(f'<polyline class="line {style}" points="{_points(along, middle)}"></polyline>')
    return Markup("".join(parts))


def _runs(good: np.ndarray) -> list[slice]:
    """Unbroken stretches of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]])))
    return [slice(start, stop) for start, stop in edges.reshape(-1, 2)]


def _points(columns: np.ndarray, rows: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(columns, rows))


def _hover_data(lines: list[_Line], x_axis: Axis, y_axis: Axis) -> str:
    """What the page's script needs to name the values under the pointer: places in the drawing and texts."""
    out = []
    for index, line in enumerate(lines):
        good = np.isfinite(line.mean)
        places = zip(_columns(x_axis, line.x[good]), line.x[good], line.mean[good])
        points = [[round(float(place), 1), f"{x:.6g}", f"{y:.4g}"] for place, x, y in places]
        out.append({"name": line.name, "style": line_class(index), "points": points})
    return json.dumps(out, separators=(",", ":"))
