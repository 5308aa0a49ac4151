"""Means, confidence intervals over frames, groups, worst samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multiface.capture import FrameKey
from multiface.data import Sample
from multiface.evaluate.measurement import Measurement, mean_and_interval
from multiface.evaluate.report import samples_csv
from multiface.evaluate.samples import SampleRows, SampleTable


def samples(frames: int, cameras: int) -> tuple[Sample, ...]:
    return tuple(Sample(FrameKey(f"S{f % 2}", f"{f:06d}"), f"40000{c}") for f in range(frames) for c in range(cameras))


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """Frames with a shift of their own, seen by 4 cameras: 95 % of the intervals hold the true mean (here 0)."""
    random = np.random.default_rng(0)
    frames = np.repeat(np.arange(12), 4)
    hits = 0
    for _ in range(800):
        values = random.normal(size=12)[frames] + 0.3 * random.normal(size=48)
        mean, half = mean_and_interval(values, frames)
        hits += abs(mean) <= half
    assert 0.93 < hits / 800 < 0.97


def test_cameras_of_a_frame_are_one_observation() -> None:
    values = np.array([1.0, 3.0, 2.0])
    once = mean_and_interval(values, [0, 1, 2])
    thrice = mean_and_interval(np.repeat(values, 3), np.repeat([0, 1, 2], 3))
    assert once == pytest.approx(thrice)
    assert once[1] == pytest.approx(4.30265 * 1.0 / 3**0.5)  # t quantile of 2 degrees, standard deviation 1


def test_what_was_not_measured_is_left_out() -> None:
    assert mean_and_interval(np.array([1.0, np.nan, 3.0]), [0, 1, 2])[0] == 2
    mean, half = mean_and_interval(np.array([np.nan]), [0])
    assert np.isnan(mean) and half is None
    assert mean_and_interval(np.array([2.0, 4.0]), [5, 5]) == (3.0, None)


def test_groups_and_worst() -> None:
    who = samples(4, 3)
    values = np.arange(24, dtype=float).reshape(12, 2)
    result = Measurement.of(SampleTable(who, ("mesh_mm", "psnr"), values))
    assert result.samples == 12 and result.frames == 4
    assert list(result.by_segment) == ["S0", "S1"] and list(result.by_camera) == ["400000", "400001", "400002"]
    assert result.by_camera["400001"].values["mesh_mm"] == values[1::3, 0].mean()
    weighed = sum(group.values["psnr"] * group.samples for group in result.by_segment.values()) / 12
    assert weighed == pytest.approx(result.values["psnr"])
    assert result.worst("mesh_mm", 2) == [11, 8]  # largest error first, one camera of each frame
    assert result.worst("psnr", 2) == [0, 3]  # smallest PSNR first


def test_recording_keeps_numbers_only_and_in_order() -> None:
    recorder = SampleRows(5, torch.device("cpu"))
    who = samples(1, 5)
    recorder.add({"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, torch.nan])}, who[:2])
    recorder.add({"b": torch.tensor([5.0]), "a": torch.tensor([4.0])}, who[2:3])
    table = recorder.table()
    assert table.columns == ("a", "b") and table.samples == who[:3]
    np.testing.assert_array_equal(table.values, [[1, 3], [2, np.nan], [4, 5]])
    assert SampleRows(3, torch.device("cpu")).table().values.shape == (0, 0)
    recorder.add({"a": torch.tensor([9.0, 7.0]), "b": torch.tensor([9.0, 8.0])}, (who[0], who[4]))  # the first one again
    assert recorder.table().samples == (*who[:3], who[4]) and recorder.table().values[3].tolist() == [7, 8]


def test_values_of_samples_are_written_with_eight_digits_and_read_back_as_they_are() -> None:
    values = np.array([1 / 3, 12345678.0, 1e-7 / 3, -2.5e20, np.inf, np.nan, 0.0, 1.0])
    table = SampleTable(samples(4, 2), ("mesh", "tex"), np.stack([values, values[::-1]], axis=1))
    lines = samples_csv({"frozen": Measurement.of(table), "mean": Measurement.of(table), "adapted": None}, "a, b").splitlines()
    assert lines[0] == "report,segment,frame,camera,mesh,tex,protocol" and len(lines) == 9
    written = ["0.33333333", "12345678.0", "3.3333333e-08", "-2.5e+20", "inf", "", "0.0", "1.0"]
    assert [line.split(",")[4] for line in lines[1:]] == written
    assert [line.split(",")[5] for line in lines[1:]] == written[::-1]
    assert lines[1] == 'frozen,S0,000000,400000,0.33333333,1.0,"a, b"'
