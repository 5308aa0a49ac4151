"""Normalisation, against cases worked out by hand and against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiface.capture import Statistics
from multiface.core.errors import ArgumentError, FormatError
from multiface.data import Normalisation, resize_texture


def statistics(tex_mean, tex_var=16.0, vertices=((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), vert_var=4.0) -> Statistics:
    return Statistics(np.asarray(tex_mean, np.uint8), tex_var, np.array(vertices, np.float32), vert_var)


def flat(size, value=100) -> Statistics:
    return statistics(np.full((size, size, 3), value))


def test_a_block_at_half_size_by_hand():
    mean = np.full((2, 2, 3), 100)
    texture = np.zeros((1, 2, 2, 3), np.uint8)
    texture[0, ..., 0] = [[108, 0], [92, 104]]  # one missing: (2 + 0 - 2 + 1) / 4
    texture[0, ..., 1] = [[100, 100], [100, 140]]  # none missing
    n, mask = Normalisation(statistics(mean), 1).normalise_texture(torch.from_numpy(texture))
    assert n.flatten().tolist() == [0.25, 2.5, 0.0]
    assert mask.flatten().tolist() == [0.75, 1.0, 0.0]


def test_at_equal_size_nothing_is_resized_and_rows_are_flipped():
    mean = np.zeros((2, 2, 3))
    mean[0], mean[1] = 10, 20
    texture = np.zeros((1, 2, 2, 3), np.uint8)
    texture[0, 0, 0] = [14, 0, 2]
    normalisation = Normalisation(statistics(mean), 2)
    n, mask = normalisation.normalise_texture(torch.from_numpy(texture))
    assert n[0, :, 1, 0].tolist() == [1.0, 0.0, -2.0] and n.abs().sum() == 3
    assert mask[0, :, 1, 0].tolist() == [1.0, 0.0, 1.0] and mask.sum() == 2
    assert normalisation.tex_mean[:, 0].unique().tolist() == [20] and normalisation.tex_mean[:, 1].unique().tolist() == [10]


@pytest.mark.parametrize("rule", ["channel", "any", "all"])
def test_what_counts_as_missing(rule):
    texture = torch.tensor([[[[0, 50, 50], [0, 0, 0]], [[50, 50, 50], [0, 0, 50]]]], dtype=torch.uint8)
    n, mask = Normalisation(flat(2), 2, missing=rule).normalise_texture(texture)
    expected = {
        "channel": [[1, 1, 1], [0, 0, 1], [0, 1, 1], [0, 0, 0]],
        "any": [[1] * 3] + [[0] * 3] * 3,
        "all": [[1] * 3] * 3 + [[0] * 3],
    }
    assert mask[0].permute(1, 2, 0).reshape(4, 3).tolist() == expected[rule]
    assert (n[mask == 0] == 0).all()


@given(arrays(np.uint8, (8, 8, 3)), arrays(np.uint8, (8, 8, 3)), st.sampled_from([2, 4, 5, 8, 16]))
@settings(max_examples=40, deadline=None)
def test_the_definition_with_numpy_and_opencv(mean, texture, size):
    def resize(x):
        return cv2.resize(x, (size, size), interpolation=cv2.INTER_LINEAR)

    flipped, missing = texture[::-1].astype(np.float32), texture[::-1] == 0
    n = (flipped - mean[::-1].astype(np.float32)) / 4
    n[missing] = 0
    normalisation = Normalisation(statistics(mean), size)
    got_n, got_mask = normalisation.normalise_texture(torch.from_numpy(texture)[None])
    np.testing.assert_allclose(got_n[0].permute(1, 2, 0), resize(n), atol=2e-4)
    np.testing.assert_allclose(got_mask[0].permute(1, 2, 0), 1 - resize(missing.astype(np.float32)), atol=1e-5)
    np.testing.assert_allclose(normalisation.tex_mean.permute(1, 2, 0), resize(mean[::-1].astype(np.float32)), atol=2e-3)


@given(arrays(np.uint8, (3, 4, 4, 3), elements=st.integers(1, 255)))
@settings(max_examples=20, deadline=None)
def test_denormalising_undoes_normalising(textures):
    normalisation = Normalisation(flat(4, 90), 4)
    n, mask = normalisation.normalise_texture(torch.from_numpy(textures))
    assert (mask == 1).all()
    back = normalisation.denormalise_texture(n).permute(0, 2, 3, 1).flip(1)
    np.testing.assert_allclose(back, textures, atol=1e-3)


def test_vertices_by_hand_and_back():
    normalisation = Normalisation(flat(2), 2)
    vertices = torch.tensor([[[3.0, 2.0, 3.0], [4.0, 1.0, 6.0]]])
    n = normalisation.normalise_vertices(vertices)
    assert n.tolist() == [[[1.0, 0.0, 0.0], [0.0, -2.0, 0.0]]]
    assert torch.equal(normalisation.denormalise_vertices(n), vertices)


def test_the_state_is_plain_tensors_and_rebuilds_the_same():
    random = np.random.default_rng(0)
    original = Normalisation(statistics(random.integers(0, 256, (8, 8, 3))), 4, missing="any")
    state = original.state()
    assert all(type(tensor) is torch.Tensor and tensor.is_contiguous() for tensor in state.values())
    rebuilt = Normalisation.from_state(state)
    texture = torch.from_numpy(random.integers(0, 3, (2, 8, 8, 3), np.uint8))
    for ours, theirs in zip(original.normalise_texture(texture), rebuilt.normalise_texture(texture)):
        assert torch.equal(ours, theirs)
    assert torch.equal(original.tex_mean, rebuilt.tex_mean) and rebuilt.texture_size == 4 and rebuilt.missing == "any"
    assert torch.equal(original.vert_mean, rebuilt.vert_mean) and original.vert_std == rebuilt.vert_std


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tex_mean", torch.zeros(8, 8, 3)),
        ("vert_mean", torch.zeros(6)),
        ("tex_std", torch.zeros(2)),
        ("missing_rule", torch.tensor(7)),
    ],
)
def test_a_state_of_another_shape_is_refused(name, value):
    state = Normalisation(flat(8), 8).state()
    with pytest.raises(FormatError):
        Normalisation.from_state({**state, name: value})
    del state[name]
    with pytest.raises(FormatError):
        Normalisation.from_state(state)


def test_no_variance_divides_by_one_and_bad_ones_are_refused():
    normalisation = Normalisation(statistics(np.full((2, 2, 3), 9), tex_var=0.0, vert_var=0.0), 2)
    assert normalisation.tex_std == 1 and normalisation.vert_std == 1
    for variance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(FormatError, match="variance"):
            Normalisation(statistics(np.zeros((2, 2, 3)), tex_var=variance), 2)


def test_textures_that_do_not_fit_are_refused():
    normalisation = Normalisation(flat(4), 2)
    for texture in (
        torch.zeros(1, 8, 8, 3, dtype=torch.uint8),
        torch.zeros(1, 4, 4, 3),
        torch.zeros(4, 4, 3, dtype=torch.uint8),
    ):
        with pytest.raises(ArgumentError, match="multiface unwrap"):
            normalisation.normalise_texture(texture)
    with pytest.raises(ArgumentError, match="texture size"):
        Normalisation(flat(4), 0)
    with pytest.raises(ArgumentError, match="rule"):
        Normalisation(flat(4), 4, missing="some")  # type: ignore[arg-type]


def test_moving_to_a_device_keeps_everything():
    normalisation = Normalisation(flat(4), 2, missing="all")
    moved = normalisation.to("meta")
    assert moved.tex_mean.device.type == "meta" and moved.texture_size == 2 and moved.missing == "all"
    assert moved.normalise_texture(torch.zeros(2, 4, 4, 3, dtype=torch.uint8, device="meta"))[0].shape == (2, 3, 2, 2)


def test_resizing_to_the_same_size_is_the_identity():
    texture = torch.rand(1, 3, 5, 5)
    assert resize_texture(texture, 5) is texture
