"""Means over samples, whatever the batches."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.train.measure import SampleMean


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30), st.integers(1, 7))
def test_every_sample_counts_once_however_they_are_batched(values: list[float], size: int) -> None:
    each, scalar = SampleMean(), SampleMean()
    for start in range(0, len(values), size):
        part = torch.tensor(values[start : start + size], dtype=torch.float64)
        each.add({"error": part}, len(part))
        scalar.add({"error": part.mean()}, len(part))
    wanted = math.fsum(values) / len(values)
    assert each.samples == scalar.samples == len(values)
    assert each.means()["error"] == pytest.approx(wanted, abs=1e-9)
    assert scalar.means()["error"] == pytest.approx(wanted, abs=1e-9)


def test_samples_without_a_value_are_left_out() -> None:
    mean = SampleMean()
    mean.add({"psnr": torch.tensor([30.0, math.nan, 20.0]), "mesh": torch.tensor(2.0)}, 3)
    mean.add({"ssim": torch.tensor([math.nan])}, 1)
    means = mean.means()
    assert means["psnr"] == 25.0 and means["mesh"] == 2.0 and math.isnan(means["ssim"])


def test_nothing_added_has_no_means() -> None:
    assert SampleMean().means() == {}
