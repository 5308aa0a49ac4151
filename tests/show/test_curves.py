"""Curves: axes with honest ticks, lines where the values are, gaps where there are none."""

from __future__ import annotations

import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.core.errors import ArgumentError
from multiface.show.axes import linear_axis, log_axis, tick_label
from multiface.show.curves import HEIGHT, WIDTH, line_chart

finite = st.floats(-1e9, 1e9)
positive = st.floats(1e-9, 1e9)


@given(st.lists(finite, min_size=1, max_size=20))
def test_linear_axes_hold_all_values_and_have_readable_ticks(values):
    axis = linear_axis(np.array(values))
    places = axis.place(np.array(values))
    assert places.min() >= -1e-9 and places.max() <= 1 + 1e-9
    assert 2 <= len(axis.ticks) <= 12
    assert list(axis.ticks) == sorted(set(axis.ticks))


@given(st.lists(positive, min_size=1, max_size=20))
def test_log_axes_hold_all_values(values):
    axis = log_axis(np.array(values))
    places = axis.place(np.array(values))
    assert places.min() >= -1e-9 and places.max() <= 1 + 1e-9
    assert 2 <= len(axis.ticks) <= 12
    assert all(axis.low * 0.99 <= tick <= axis.high * 1.01 for tick in axis.ticks)


def test_ticks_are_the_ones_a_person_would_draw():
    assert linear_axis(np.array([0.0, 0.93])).ticks == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1.0))
    assert log_axis(np.array([0.01, 1.0])).ticks == pytest.approx((0.01, 0.1, 1))
    assert [tick_label(v) for v in (0, 0.02, 15, 20000, 1.5e6, 3e-6, -0.5)] == [
        "0",
        "0.02",
        "15",
        "20k",
        "1.5M",
        "3e-6",
        "-0.5",
    ]


def points(svg: str, kind: str = "polyline") -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(svg)
    found = [element.get("points").split() for element in root.iter(kind)]
    return [[tuple(map(float, pair.split(","))) for pair in line] for line in found]


def test_a_falling_loss_falls_on_the_screen():
    svg = str(line_chart({"train": ([0, 1, 2, 3], [8, 4, 2, 1])}, log=True))
    ((*line,),) = points(svg)
    rows = [y for _, y in line]
    assert rows == sorted(rows)  # rows count downwards
    assert np.diff(rows) == pytest.approx(np.diff(rows)[0], abs=0.2)  # halving is the same step on a log axis
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


def test_values_that_are_no_numbers_leave_a_gap():
    values = [1, 2, math.nan, 3, math.inf, 4, 5]
    assert [len(line) for line in points(str(line_chart({"a": (range(7), values)})))] == [2, 2]
    assert "circle" in line_chart({"a": (range(7), values)})
    assert len(points(str(line_chart({"a": (range(4), [1, 0, -1, 2])}, log=True)))) == 0


@pytest.mark.parametrize("series", [{}, {"a": ([], [])}, {"a": ([0, 1], [math.nan, math.nan])}])
def test_nothing_to_draw_says_so(series):
    assert "no values to draw" in line_chart(series)


def test_long_series_stay_small_and_show_their_spread():
    rng = np.random.default_rng(0)
    x = np.arange(100_000)
    svg = str(line_chart({"train": (x, 5 + rng.standard_normal(x.size))}))
    assert len(svg) < 40_000
    (band,) = points(svg, "polygon")
    (line,) = points(svg)
    assert len(band) == 2 * len(line)
    assert json.loads(ElementTree.fromstring(svg).get("data-chart"))[0]["points"][0][1] != "0"


def test_names_are_escaped():
    svg = str(line_chart({'<script>"&': ([0, 1], [1, 2])}, x_label="<b>", y_label="<i>"))
    ElementTree.fromstring(svg)
    assert not re.search(r"<(script|b|i)>", svg)


def test_counts_that_differ_are_refused():
    with pytest.raises(ArgumentError, match="train"):
        line_chart({"train": ([0, 1], [1.0])})
