"""The drawing of a warp field: straight where nothing moves, shifted where everything does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multiface.models import build_model
from multiface.show.colormap import difference_table
from multiface.show.warp_field import LINES, WarpPictures

SIZE = 256


@pytest.fixture(scope="module")
def pictures() -> WarpPictures:
    return WarpPictures(build_model("warp", tex_size=SIZE, mesh_inp_size=30, nlatent=4, n_cams=1), torch.device("cpu"))


def field(right: float = 0.0, up: float = 0.0) -> torch.Tensor:
    """(1, T, T, 2): read from so many texels further to the right and further up (v grows upwards)."""
    line = torch.linspace(-1, 1, SIZE)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x + right * 2 / SIZE, y + up * 2 / SIZE], -1)[None]


def test_no_field_has_no_displacement_and_straight_lines(pictures):
    shown = pictures.displacement(field())[0].numpy()
    assert (shown == difference_table()[0]).all()
    lines = pictures.grid(field())[0, :, :, 0].numpy()
    bright = lines[SIZE // LINES // 2] > 128  # a row between two lines: the columns of the grid
    assert bright.sum() == pytest.approx(LINES, abs=2)


def test_the_length_of_the_displacement_is_coloured_on_a_fixed_scale(pictures):
    half = pictures.displacement(field(right=0.6 * pictures.scale / 2, up=0.8 * pictures.scale / 2))[0].numpy()
    assert np.abs(half.astype(int) - difference_table()[128].astype(int)).max() <= 4
    assert (pictures.displacement(field(right=-5 * pictures.scale))[0].numpy() == difference_table()[255]).all()


def test_lines_move_with_the_field_and_up_is_up(pictures):
    still, moved = (pictures.grid(field(up=up))[0, :, SIZE // LINES // 2, 0].numpy() for up in (0.0, 3.0))
    # Reading 3 texels further up moves what is seen down by 3 rows of the upright picture.
    middle = slice(SIZE // 4, SIZE // 2)
    assert np.abs(np.roll(still, 3)[middle].astype(int) - moved[middle]).mean() < 12
    assert np.abs(still[middle].astype(int) - moved[middle]).mean() > 25
