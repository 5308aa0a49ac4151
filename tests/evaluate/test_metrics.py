"""Metrics: known values, what a mask means, exact means."""

from __future__ import annotations

import math

import pytest
import torch

from multiface.core.errors import ArgumentError
from multiface.evaluate.metrics import (
    masked_mse,
    masked_psnr,
    masked_ssim,
    mesh_error_mm,
    mesh_error_rms_mm,
)


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 24, 20, generator=generator) * 200
    prediction = target + torch.randn(3, 3, 24, 20, generator=generator) * 6
    mask = torch.zeros(3, 24, 20, dtype=torch.bool)
    mask[0, 3:20, 2:17] = True
    mask[1, :12] = True
    return prediction, target, mask


def test_mse_and_psnr_of_a_known_error():
    target = torch.full((2, 3, 4, 4), 100.0)
    prediction = target + torch.tensor([5.0, 10.0])[:, None, None, None]
    mask = torch.ones(2, 4, 4)
    assert masked_mse(prediction, target, mask).tolist() == [25.0, 100.0]
    wanted = [10 * math.log10(255**2 / 25), 10 * math.log10(255**2 / 100)]
    assert masked_psnr(prediction, target, mask).tolist() == pytest.approx(wanted)


def test_each_sample_is_measured_by_itself(pictures):
    prediction, target, mask = pictures
    for metric in (masked_mse, masked_psnr, masked_ssim):
        together = metric(prediction, target, mask)
        for k in range(2):
            alone = metric(prediction[k : k + 1], target[k : k + 1], mask[k : k + 1])
            assert together[k].item() == pytest.approx(alone.item(), rel=1e-5)


def test_nothing_outside_the_mask_matters(pictures):
    prediction, target, mask = pictures
    spoilt = torch.where(mask[:, None], prediction, 1e4)
    spoilt[:, :, 0, 0] = torch.where(mask[:, None, 0, 0], prediction[:, :, 0, 0], torch.nan)
    for metric in (masked_mse, masked_psnr, masked_ssim):
        assert torch.equal(metric(spoilt, target, mask)[:2], metric(prediction, target, mask)[:2])


def test_an_empty_mask_is_nan_not_perfect(pictures):
    for metric in (masked_mse, masked_psnr, masked_ssim):
        assert metric(*pictures).isnan().tolist() == [False, False, True]


def test_equal_pictures_are_perfect(pictures):
    _, target, mask = pictures
    assert masked_ssim(target, target, mask)[:2].tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert masked_psnr(target, target, mask)[:2].tolist() == [math.inf, math.inf]


def test_ssim_of_a_full_mask_agrees_with_the_definition():
    """At one pixel, by hand: window of 11, sigma 1.5, C1 = (0.01 R)^2, C2 = (0.03 R)^2 (Wang et al. 2004)."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    generator = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 1, 1, 31, 31, generator=generator, dtype=torch.float64) * 255
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    line = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = line[:, None] * line[None]
    window = window / window.sum()
    a, b = x[0, 0, 10:21, 10:21], y[0, 0, 10:21, 10:21]
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    variance_a, variance_b = (window * a * a).sum() - mean_a**2, (window * b * b).sum() - mean_b**2
    covariance = (window * a * b).sum() - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    wanted = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    wanted = wanted / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))
    _, similarity = structural_similarity_index_measure(x, y, data_range=255.0, reduction="none", return_full_image=True)
    assert similarity[0, 0, 15, 15].item() == pytest.approx(wanted.item(), rel=1e-4)
    assert masked_ssim(x, y, torch.ones(1, 31, 31)).item() == pytest.approx(similarity.mean().item(), rel=1e-5)


def test_blur_lowers_similarity_more_than_a_small_gain(pictures):
    _, target, _ = pictures
    blurred = torch.nn.functional.avg_pool2d(target, 5, stride=1, padding=2)
    whole = torch.ones(3, 24, 20)
    assert (masked_ssim(blurred, target, whole) < masked_ssim(1.05 * target, target, whole)).all()


def test_masks_of_every_documented_shape_agree(pictures):
    prediction, target, mask = pictures
    wanted = masked_mse(prediction, target, mask)[:2]
    for other in (mask[:, None], mask[:, None].expand(3, 3, 24, 20), mask.float() * 0.3, mask.to(torch.uint8)):
        assert torch.equal(masked_mse(prediction, target, other)[:2], wanted)


@pytest.mark.parametrize("shape", [(3, 20, 24), (2, 24, 20), (24, 20), (3, 2, 24, 20)])
def test_a_mask_that_does_not_fit_is_refused(pictures, shape):
    prediction, target, _ = pictures
    with pytest.raises(ArgumentError, match="mask"):
        masked_mse(prediction, target, torch.ones(shape))


def test_pictures_smaller_than_the_window_are_refused():
    small = torch.zeros(1, 3, 10, 30)
    with pytest.raises(ArgumentError, match="too small"):
        masked_ssim(small, small, torch.ones(1, 10, 30))


def test_mesh_errors_are_distances_in_millimetres():
    target = torch.zeros(2, 4, 3)
    prediction = target.clone()
    prediction[0, 0] = torch.tensor([3.0, 4.0, 0.0])
    prediction[1, :] = torch.tensor([0.0, 0.0, 2.0])
    assert mesh_error_mm(prediction, target).tolist() == [1.25, 2.0]
    assert mesh_error_rms_mm(prediction, target).tolist() == [2.5, 2.0]
    assert mesh_error_mm(prediction, target, select=torch.tensor([0])).tolist() == [5.0, 2.0]
    assert mesh_error_mm(prediction, target, select=torch.zeros(4, dtype=torch.bool)).isnan().all()
    with pytest.raises(ArgumentError, match="vertices"):
        mesh_error_mm(prediction, target[:, :3])
