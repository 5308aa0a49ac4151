"""Panels: what is shown where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.core.errors import ArgumentError
from multiface.show.colormap import difference_table
from multiface.show.display import to_display
from multiface.show.panels import NOT_COUNTED, Comparison, PanelRow, comparison_panel, contact_sheet, fit_width, texture_panel


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(sheet, picture.shape)[:, :, 0]
    return bool((windows == picture).all(axis=(-1, -2, -3)).any())


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 200, (30, 22, 3), dtype=np.uint8)
    return truth, truth.astype(np.float32) + 16.0


def test_a_comparison_shows_both_in_display_colours_and_the_difference(pair):
    truth, prediction = pair
    sheet = comparison_panel(truth, prediction, heading="SEG 400002", scale=32)
    assert sheet.dtype == np.uint8 and sheet.shape[0] % 2 == 0 and sheet.shape[1] % 2 == 0
    assert contains(sheet, to_display(truth))
    assert contains(sheet, to_display(prediction))
    assert contains(sheet, np.broadcast_to(difference_table()[128], truth.shape))


def test_outside_the_mask_is_neither_error_nor_no_error(pair):
    truth, prediction = pair
    mask = np.zeros(truth.shape[:2], bool)
    mask[:, :10] = True
    sheet = comparison_panel(truth, prediction, mask=mask)
    assert contains(sheet, np.broadcast_to(np.uint8(NOT_COUNTED), (30, 12, 3)))
    assert contains(sheet, to_display(truth))


def test_unseen_texels_are_grey_in_a_texture_panel(pair):
    truth, prediction = pair
    mask = np.ones(truth.shape[:2], bool)
    mask[4:9, 3:8] = False
    shown = to_display(truth)
    shown[4:9, 3:8] = NOT_COUNTED
    assert contains(texture_panel(truth, prediction, mask=mask), shown)


def test_the_frames_of_a_video_share_one_size_and_only_the_heading_changes(pair):
    truth, prediction = pair
    layout = Comparison(truth.shape[:2])
    first, second = (layout.frame(truth, prediction, heading=text) for text in ("frame 1", "frame 234"))
    assert first.shape == second.shape == (*layout.size, 3)
    changed = np.flatnonzero((first != second).any(axis=(1, 2)))
    assert len(changed) and changed.max() < layout.size[0] // 3


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 4))
def test_any_size_can_be_drawn(height, width, count):
    row = PanelRow((height, width), ["a long title that never fits"] * count)
    sheet = row.compose([np.zeros((height, width, 3), np.uint8)] * count, heading="heading " * 30)
    assert sheet.shape == (*row.size, 3)


def test_full_size_has_room_for_readable_titles():
    row = PanelRow((200, 1334), ("ground truth",), heading=False)
    assert row.compose([np.zeros((200, 1334, 3), np.uint8)])[:100].max() > 100


@pytest.mark.parametrize("bad", [np.zeros((3, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_a_picture_that_does_not_fit_is_refused(bad):
    with pytest.raises(ArgumentError, match="does not fit"):
        PanelRow((4, 4), ("a",)).compose([bad])


def test_a_contact_sheet_holds_every_picture():
    pictures = [np.full((20, 32, 3), 40 * k, np.uint8) for k in range(1, 6)]
    sheet = contact_sheet(pictures, list("abcde"), columns=2, cell_width=32, heading="sheet")
    assert all(contains(sheet, picture) for picture in pictures)
    with pytest.raises(ArgumentError, match="title"):
        contact_sheet(pictures, ["only one"])


def test_a_contact_sheet_has_no_empty_columns():
    one = np.zeros((20, 32, 3), np.uint8)
    assert contact_sheet([one], ["a"], columns=2, cell_width=40).shape[1] == 40 + 2 * 2


def test_fit_width_keeps_the_shape_and_does_not_enlarge_unasked():
    picture = np.zeros((100, 50, 3), np.uint8)
    assert fit_width(picture, 25).shape == (50, 25, 3)
    assert fit_width(picture, 200) is picture


def test_three_panels_of_the_published_size_can_be_decoded_in_hardware():
    height, width = Comparison((2048, 1334)).size
    assert width <= 4096 and height <= 2304
    assert -(-width // 16) * -(-height // 16) <= 36_864  # macroblocks of a picture, H.264 table A-1, level 5.2
