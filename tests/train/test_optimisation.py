"""Optimisers and schedule."""

from __future__ import annotations

import pytest
import torch

from multiface.models import build_model
from multiface.train.optimisation import Optimisation, clip

YES, NO = torch.tensor(True), torch.tensor(False)


def update(optimisation: Optimisation, total: torch.Tensor, accepted: torch.Tensor = YES) -> None:
    optimisation.clear_gradients()
    total.backward()
    clip(optimisation.parameters)
    optimisation.step(accepted)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("non", tex_size=256, mesh_inp_size=30, nlatent=4, n_cams=2)


def test_both_groups_learn_and_only_the_main_rate_decays(model) -> None:
    optimisation = Optimisation(model, 1e-3)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    out = model(torch.randn(2, 3, 256, 256), torch.randn(2, 10, 3), torch.randn(2, 3), torch.tensor([0, 1]))
    update(optimisation, out.texture.square().mean() + out.vertices.square().mean())
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {"cc.weight", "cc.bias", "enc.fc.weight", "dec.mesh_fc.weight"} <= moved
    assert not {"cc.weight_anchor", "cc.bias_anchor"} & moved
    optimisation.end_epoch()
    assert optimisation.learning_rate == pytest.approx(0.95e-3)
    assert optimisation.colour.param_groups[0]["lr"] == pytest.approx(1e-3)


def test_a_rejected_gradient_changes_neither_weights_nor_moments_nor_counters(model) -> None:
    optimisation = Optimisation(model, 1e-3)
    update(optimisation, model.dec.mesh_fc.weight.square().sum())
    weight = model.dec.mesh_fc.weight
    before = weight.detach().clone(), {name: value.clone() for name, value in optimisation.main.state[weight].items()}
    update(optimisation, (weight * float("inf")).sum(), NO)
    assert torch.equal(weight, before[0])
    for name, value in optimisation.main.state[weight].items():
        assert torch.equal(value, before[1][name]), name


def test_states_are_plain_and_restore_everything(model) -> None:
    optimisation = Optimisation(model, 1e-3)
    update(optimisation, model.dec.mesh_fc.weight.square().sum())
    optimisation.end_epoch()
    state = optimisation.state()
    assert isinstance(state["main"]["param_groups"][0]["lr"], float)
    other = Optimisation(model, 1.0)
    other.load_state(state)
    assert other.learning_rate == pytest.approx(0.95e-3)
    assert other.main.state[model.dec.mesh_fc.weight]["step"] == 1


def test_a_single_camera_has_no_correction_to_learn() -> None:
    model = build_model("non", tex_size=256, mesh_inp_size=30, nlatent=4, n_cams=1)
    out = model(torch.randn(1, 3, 256, 256), torch.randn(1, 10, 3), torch.randn(1, 3), torch.tensor([0]))
    update(Optimisation(model, 1e-3), out.texture.mean())
