"""Gradients averaged over processes: when each sum starts, and what comes of it. Real processes: test_several_processes.py."""

from __future__ import annotations

import pytest
import torch

from multiface.capture import FrameKey
from multiface.data import Batch
from multiface.losses import LossWeights, total_loss
from multiface.models import build_model
from multiface.train import gradients
from multiface.train.gradients import GradientAverager
from multiface.train.step import Network, Step
from small_step import small_normalisation, small_topology


class Others:
    """Stands for the other processes: adds what they have, and notes how much was summed when."""

    def __init__(self, views: float) -> None:
        self.views = views
        self.events: list[int | str] = []

    def all_reduce(self, tensor: torch.Tensor, async_op: bool = False) -> Others:
        if tensor.dim() == 0:
            tensor += self.views
        self.events.append(tensor.numel())
        return self

    def wait(self) -> None: ...


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Others:
    others = Others(3.0)
    monkeypatch.setattr(gradients.dist, "all_reduce", others.all_reduce)
    return others


def averaged(layers: list[torch.nn.Linear], views: int, others: Others, **more) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """One pass; the losses and gradients that come of it."""
    parameters = [[layers[1].weight, layers[1].bias], [layers[0].weight, layers[0].bias]]
    averager = GradientAverager(parameters, **more)
    averager.begin(views)
    averager.start()
    between = layers[0](torch.ones(1, 3))
    between.register_hook(lambda gradient: others.events.append("second half done"))
    loss = layers[1](between).sum()
    values = torch.stack([loss.detach()])
    loss.backward(averager.weight(values))
    averager.finish()
    averager.close()
    return values, [p.grad.clone() for stage in parameters for p in stage if p.grad is not None]


def test_everything_counts_by_its_views(others: Others) -> None:
    layers = [torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)]
    loss = layers[1](layers[0](torch.ones(1, 3))).sum()
    loss.backward()
    own = [p.grad.clone() for layer in reversed(layers) for p in layer.parameters() if p.grad is not None]
    for layer in layers:
        layer.zero_grad()
    values, found = averaged(layers, 1, others)
    torch.testing.assert_close(values[0], loss.detach() / 4)
    for one, other in zip(own, found, strict=True):
        torch.testing.assert_close(one / 4, other)


def test_a_process_without_views_has_no_say_whatever_its_losses_are(others: Others) -> None:
    layers = [torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)]
    with torch.no_grad():
        layers[1].bias.fill_(float("inf"))
    values, found = averaged(layers, 0, others)
    assert not values.any() and not any(gradient.any() for gradient in found)


def test_sums_start_while_the_backward_pass_goes_on_and_in_one_order(others: Others) -> None:
    averaged([torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)], 1, others)
    assert others.events == [1, 1, 2 * 64, "second half done", 2 * 64], "each of a weight and a bias, aligned"
    others.events.clear()
    averaged([torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)], 1, others, bucket_bytes=1)
    assert others.events == [1, 1, 64, 64, "second half done", 64, 64]


def test_each_gradient_begins_where_memory_is_fetched_from(others: Others) -> None:
    layers = [torch.nn.Linear(3, 5), torch.nn.Linear(5, 3)]
    averaged(layers, 1, others)
    found = [p.grad for layer in layers for p in layer.parameters() if p.grad is not None]
    assert len(found) == 4 and all(gradient.storage_offset() * gradient.element_size() % 256 == 0 for gradient in found)


@pytest.mark.parametrize("arch", ["base", "warp"])
def test_nearly_all_gradients_are_there_before_the_texture_encoder_computes_its_own(arch: str) -> None:
    model = build_model(arch, tex_size=1024, mesh_inp_size=21918, nlatent=256, n_cams=38)
    first, last = model.parameter_stages()
    assert {id(p) for p in (*first, *last)} == {id(p) for p in model.parameters() if p.requires_grad}
    assert sum(p.numel() for p in last) < 0.05 * sum(p.numel() for p in first)


@pytest.mark.slow
def test_compiled_steps_sum_while_the_texture_encoder_computes_its_gradients(others: Others) -> None:
    """A compiled piece gives all its gradients at once: of the second, before the first one begins its backward pass."""
    torch.manual_seed(0)
    model = build_model("non", tex_size=256, mesh_inp_size=15, nlatent=3, n_cams=2)
    step = Step(model, small_normalisation(), small_topology(), torch.zeros(1, dtype=torch.long))
    pieces = Network(*(torch.compile(piece, backend="aot_eager", dynamic=False) for piece in step.network))

    def texture_code(average: torch.Tensor) -> torch.Tensor:
        code = pieces.texture_code(average)
        code.register_hook(lambda gradient: others.events.append("texture encoder"))
        return code

    batch = Batch(
        keys=(FrameKey("S", "0"),),
        cameras=("a",),
        frame_of_view=torch.zeros(1, dtype=torch.long),
        average=torch.randint(1, 256, (1, 256, 256, 3), dtype=torch.uint8),
        vertices=torch.randn(1, 5, 3),
        head_pose=torch.zeros(1, 3, 4),
        texture=torch.randint(1, 256, (1, 256, 256, 3), dtype=torch.uint8),
        photo=None,
        camera_index=torch.zeros(1, dtype=torch.long),
        view=torch.randn(1, 3),
        projection=torch.zeros(1, 3, 4),
    )
    averager = GradientAverager(model.parameter_stages(), bucket_bytes=1 << 12)
    averager.begin(1)
    averager.start()
    network = Network(texture_code, pieces.terms)
    loss = total_loss(step.training_terms(batch, screen=False, network=network), LossWeights())
    loss.backward(averager.weight(loss.detach()[None]))
    averager.finish()
    averager.close()
    first, last = (sum(-(-p.numel() // 64) * 64 for p in stage) for stage in model.parameter_stages())
    cut = others.events.index("texture encoder")
    before, after = others.events[2:cut], others.events[cut + 1 :]
    assert sum(before) == first and sum(after) == last  # type: ignore[arg-type]
