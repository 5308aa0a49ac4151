"""Optimisers, schedule and the discarding of batches."""

from __future__ import annotations

import pytest
import torch

from multiface.core.errors import DivergenceError
from multiface.models import build_model
from multiface.train.optimisation import BatchGuard, Optimisation

FINE = {"total": 1.0, "verts": 0.5, "kl": 0.01}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("non", tex_size=256, mesh_inp_size=30, nlatent=4, n_cams=2)


def test_both_groups_learn_and_only_the_main_rate_decays(model) -> None:
    optimisation = Optimisation(model, 1e-3)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    out = model(torch.randn(2, 3, 256, 256), torch.randn(2, 10, 3), torch.randn(2, 3), torch.tensor([0, 1]))
    optimisation.update(out.texture.square().mean() + out.vertices.square().mean())
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {"cc.weight", "cc.bias", "enc.fc.weight", "dec.mesh_fc.weight"} <= moved
    assert not {"cc.weight_anchor", "cc.bias_anchor"} & moved
    optimisation.end_epoch()
    assert optimisation.learning_rate == pytest.approx(0.95e-3)
    assert optimisation.colour.param_groups[0]["lr"] == pytest.approx(1e-3)


def test_a_gradient_that_is_not_finite_updates_nothing(model) -> None:
    optimisation = Optimisation(model, 1e-3)
    before = model.state_dict()["dec.mesh_fc.weight"].clone()
    with pytest.raises(DivergenceError, match="gradient"):
        optimisation.update((model.dec.mesh_fc.weight * float("inf")).sum())
    assert torch.equal(model.dec.mesh_fc.weight, before)


def test_a_single_camera_has_no_correction_to_learn() -> None:
    model = build_model("non", tex_size=256, mesh_inp_size=30, nlatent=4, n_cams=1)
    out = model(torch.randn(1, 3, 256, 256), torch.randn(1, 10, 3), torch.randn(1, 3), torch.tensor([0]))
    Optimisation(model, 1e-3).update(out.texture.mean())


@pytest.mark.parametrize("name", ["total", "verts", "kl"])
def test_a_jump_of_any_watched_value_is_discarded(name: str) -> None:
    guard = BatchGuard(threshold=50)
    assert guard.accepts(FINE)
    assert not guard.accepts({**FINE, name: FINE[name] * 51})
    assert guard.accepts({**FINE, name: FINE[name] * 49})
    assert guard.discarded == 1


def test_discarding_compares_with_the_last_accepted_batch_not_the_last_seen() -> None:
    guard = BatchGuard(threshold=10)
    guard.accepts(FINE)
    assert not guard.accepts({**FINE, "total": 11.0})
    assert not guard.accepts({**FINE, "total": 12.0})


def test_a_lasting_change_of_level_is_accepted_in_the_end() -> None:
    guard = BatchGuard(threshold=10, patience=3)
    guard.accepts(FINE)
    assert [guard.accepts({**FINE, "total": 100.0}) for _ in range(5)] == [False, False, False, True, True]


def test_a_previous_value_of_zero_discards_nothing() -> None:
    guard = BatchGuard(threshold=10)
    guard.accepts({**FINE, "kl": 0.0})
    assert guard.accepts(FINE)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_stop_the_training(bad: float) -> None:
    with pytest.raises(DivergenceError, match="verts"):
        BatchGuard(threshold=50).accepts({**FINE, "verts": bad})
