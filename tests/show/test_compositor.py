"""Sheets made on the device have the values of those made on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multiface.show.compositor import DeviceRow, DifferenceColours, picture_bytes, to_planes
from multiface.show.display import display_table, to_display, to_display_tensor
from multiface.show.panels import Comparison


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 256, (40, 26, 3), dtype=np.uint8)
    prediction = np.clip(truth.astype(int) + rng.integers(-50, 51, truth.shape), 0, 255).astype(np.uint8)
    return truth, prediction, rng.random(truth.shape[:2]) < 0.7


def test_a_sheet_is_the_same_as_that_of_the_panels(pair):
    truth, prediction, mask = pair
    layout = Comparison(truth.shape[:2], scale=20)
    device = torch.device("cpu")
    one, other = torch.from_numpy(truth), torch.from_numpy(prediction)
    difference = DifferenceColours(20, device)(other, one, torch.from_numpy(mask))
    row = DeviceRow(layout.row, device)
    sheet = row.sheet([to_display_tensor(one), to_display_tensor(other), difference], "SEG 000102")
    assert np.array_equal(sheet, layout.frame(truth, prediction, mask=mask, heading="SEG 000102"))


def test_display_colours_are_the_same_on_tensors():
    every = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.array_equal(to_display_tensor(torch.from_numpy(every)).numpy(), to_display(every))
    flat = torch.from_numpy(display_table().copy()).flatten()  # what other devices look colours up in
    assert np.array_equal(
        flat[torch.from_numpy(every).int() * 3 + torch.arange(3, dtype=torch.int32)].numpy(), to_display(every)
    )


def test_planes_are_those_of_the_video_library(pair):
    av = pytest.importorskip("av")
    blocks = np.repeat(np.repeat(pair[0][:5, :6], 16, 0), 16, 1)  # the library's filters do not reach the middle of a block
    ours = to_planes(torch.from_numpy(blocks)).numpy().astype(int)
    frame = av.VideoFrame.from_ndarray(blocks, format="rgb24")
    theirs = frame.reformat(format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU709").to_ndarray().astype(int)
    assert ours.shape == theirs.shape == (120, 96)
    assert np.abs(ours[:80] - theirs[:80]).max() <= 1
    chroma = np.abs(ours[80:] - theirs[80:]).reshape(2, 40, 48)
    assert chroma[:, 4::8, 4::8].max() <= 1


def test_white_and_black_keep_to_the_limited_range():
    sheet = np.zeros((4, 4, 3), np.uint8)
    sheet[:, 2:] = 255
    planes = to_planes(torch.from_numpy(sheet)).numpy()
    assert planes[:4, :2].tolist() == [[16, 16]] * 4 and planes[:4, 2:].tolist() == [[235, 235]] * 4
    assert (planes[4:] == 128).all()


def test_predictions_outside_the_range_saturate_and_nan_is_black():
    image = torch.tensor([[-0.5, 0.5], [1.7, float("nan")]])[None, None].expand(1, 3, 2, 2)
    assert picture_bytes(image)[0, :, :, 0].tolist() == [[0, 128], [255, 0]]
