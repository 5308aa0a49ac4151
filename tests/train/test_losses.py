"""Loss terms: the published formulas, and which terms reach the total."""

from __future__ import annotations

import pytest
import torch

from multiface import losses


def test_texture_loss_counts_masked_texels_in_the_divisor() -> None:
    predicted, target = torch.full((1, 3, 2, 2), 3.0), torch.ones(1, 3, 2, 2)
    mask = torch.tensor([[1.0, 0.0], [0.5, 0.0]]).expand(1, 3, 2, 2)
    assert losses.texture_loss(predicted, target, mask).item() == pytest.approx((4 * 1 + 4 * 0.25) / 4)


def test_texture_loss_equals_the_published_form_in_denormalised_units() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, target, mean = (torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    mask, std = torch.rand(2, 3, 4, 4, generator=generator, dtype=torch.float64), 23.0
    shown, true = ((x * std + mean) / 255 for x in (predicted, target))
    published = (mask * shown - mask * true).square().mean() * 255**2 / std**2
    assert losses.texture_loss(predicted, target, mask).item() == pytest.approx(published.item(), rel=1e-12)


def test_screen_loss_weighs_linearly_and_counts_the_background() -> None:
    predicted, photo = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.1)
    weight = torch.tensor([[0.5, 0.0], [0.0, 0.0]])[None, None]
    expected = 0.01 * 0.5 / 4 * 255**2 / 20.0**2
    assert losses.screen_loss(predicted, photo, weight, 20.0).item() == pytest.approx(expected)


def test_a_term_of_weight_zero_neither_counts_nor_receives_gradient() -> None:
    terms = {name: torch.tensor(2.0, requires_grad=True) for name in losses.TERMS}
    total = losses.total_loss(terms, losses.LossWeights(verts=1, tex=0, screen=3, kl=0))
    total.backward()
    assert total.item() == 8
    assert [terms[name].grad is None for name in ("verts", "tex", "screen", "kl")] == [False, True, False, True]
