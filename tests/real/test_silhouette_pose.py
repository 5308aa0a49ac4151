"""The head pose of a real frame is found from its silhouette alone (benchmarks/silhouette_pose.py has the figures)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.mark.real
def test_head_pose_from_its_silhouette(shared: Path) -> None:
    from silhouette_pose import LEVELS, errors, fit, load_frame, masks_at_full_size, starts

    frame, begin = load_frame(shared / "real"), starts(2)
    wanted = masks_at_full_size(frame, 1)
    before = errors(frame, begin, wanted)
    assert min(before["rotation_degrees"]) == pytest.approx(5, abs=0.01)
    assert max(before["iou"]) < 0.95
    after = errors(frame, fit(frame, wanted, begin, levels=LEVELS[:2]), wanted)
    assert max(after["rotation_degrees"]) < 0.5
    assert max(after["in_plane_mm"]) < 0.5
    assert max(after["depth_mm"]) < 2.0
    assert min(after["iou"]) > 0.997


@pytest.mark.real
def test_without_silhouette_gradients_nothing_moves(shared: Path) -> None:
    from silhouette_pose import LEVELS, fit, load_frame, masks_at_full_size, starts

    frame, begin = load_frame(shared / "real"), starts(1)
    assert torch.equal(fit(frame, masks_at_full_size(frame, 1), begin, levels=LEVELS[:1], silhouettes=False), begin)
