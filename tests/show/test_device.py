"""Sheets made on a GPU are those made on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multiface.show.compositor import DeviceRow, DifferenceColours, to_planes
from multiface.show.display import to_display_tensor
from multiface.show.panels import Comparison

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA or ROCm device"),
]


def test_sheets_agree():
    random = torch.Generator().manual_seed(0)
    truth, prediction = (torch.randint(0, 256, (50, 34, 3), generator=random, dtype=torch.uint8) for _ in range(2))
    mask = torch.rand(50, 34, generator=random) < 0.6
    layout = Comparison((50, 34), scale=24)
    sheets = {}
    for name in ("cpu", "cuda"):
        device = torch.device(name)
        one, other, inside = (tensor.to(device) for tensor in (truth, prediction, mask))
        panels = [to_display_tensor(one), to_display_tensor(other), DifferenceColours(24, device)(other, one, inside)]
        sheets[name] = DeviceRow(layout.row, device).sheet(panels, "frame 000102")
    expected = to_planes(torch.from_numpy(sheets["cpu"])).numpy()
    assert sheets["cuda"].shape == expected.shape == (layout.size[0] * 3 // 2, layout.size[1])
    assert np.abs(sheets["cuda"].astype(int) - expected).max() <= 1
