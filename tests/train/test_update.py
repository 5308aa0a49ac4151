"""One optimisation step: the published order of operations, and what a rejected batch leaves behind."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from multiface import losses
from multiface.models import build_model
from multiface.train.cameras import camera_table
from multiface.train.config import TrainConfig
from multiface.train.guard import VALUES, BatchGuard
from multiface.train.optimisation import Optimisation
from multiface.train.setup import make_normalisation, open_data
from multiface.train.step import ScreenSettings, Step
from multiface.train.update import Update
from published_update import PublishedUpdate

WEIGHTS = losses.LossWeights(screen=1.0)
RATE = 1e-3


@pytest.fixture(scope="module")
def data(trainable_capture: Path):
    return open_data(TrainConfig(data_dir=trainable_capture), photos=True)


@pytest.fixture(scope="module")
def batches(data):
    loader = data.loader(data.train_index(None), 3, shuffle=True, seed=1)
    return [batch for _, batch in zip(range(3), loader)]


def make_step(data, arch: str = "non", screen: ScreenSettings | None = None) -> Step:
    torch.manual_seed(0)
    capture, names = data.capture, tuple(data.capture.cameras)
    model = build_model(arch, tex_size=256, mesh_inp_size=3 * capture.n_vertices, nlatent=8, n_cams=len(names))
    table, _ = camera_table(list(names), names, len(names))
    return Step(model.train(), make_normalisation(capture, 256), capture.topology, table, screen)


def make_update(step: Step, weights: losses.LossWeights = WEIGHTS, threshold: float = 50.0, **more) -> Update:
    return Update(step, Optimisation(step.model, RATE), weights, BatchGuard(threshold), **more)


def snapshot(update: Update) -> list[torch.Tensor]:
    """Everything an update may change."""
    moments = [x for o in update.optimisation.optimisers for state in o.state.values() for x in state.values()]
    return [x.detach().clone() for x in (*update.step.model.state_dict().values(), *moments)]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(map(torch.equal, a, b))


@pytest.mark.parametrize(("arch", "threshold"), [("base", 50.0), ("warp", 1.0)])
def test_an_update_is_the_published_one_bit_for_bit(data, batches, arch: str, threshold: float) -> None:
    """With a threshold of 1, any batch whose loss grew is discarded."""
    ours, published = make_step(data, arch), make_step(data, arch)
    update, reference = make_update(ours, threshold=threshold), PublishedUpdate(published, RATE, WEIGHTS, threshold)
    expected = []
    torch.manual_seed(7)
    for batch in (*batches, batches[0]):
        expected.append(reference(batch))
    torch.manual_seed(7)
    for batch in (*batches, batches[0]):
        update(batch)
    reading = update.read()
    assert reading.divergence is None
    assert [(outcome.values, outcome.accepted) for outcome in reading.outcomes] == expected
    assert len({accepted for _, accepted in expected}) == (1 if threshold > 1 else 2)
    for name, value in published.model.state_dict().items():
        assert torch.equal(ours.model.state_dict()[name], value), name
    assert update.discarded == reference.guard.discarded


def test_terms_are_those_of_a_prediction_with_pictures(data, batches) -> None:
    weight = torch.rand(1, 256, 256, generator=torch.Generator().manual_seed(1))
    step = make_step(data, screen=ScreenSettings(weight=weight))
    torch.manual_seed(3)
    expected = step.terms(step.predict(batches[0], sample=True, render=True))
    torch.manual_seed(3)
    found = step.training_terms(batches[0], screen=True)
    assert found["screen"] > 0
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_a_discarded_batch_changes_nothing_at_all(data, batches) -> None:
    update = make_update(make_step(data))
    update(batches[0])
    before, previous = snapshot(update), update.state()["previous"]
    far = replace(batches[1], vertices=batches[1].vertices + 300)
    out = update(far)
    assert not out["accepted"] and out["finite"]
    assert same(snapshot(update), before) and update.state()["previous"] == previous
    assert update(batches[1])["accepted"] and not same(snapshot(update), before)
    assert [outcome.accepted for outcome in update.read().outcomes] == [True, False, True]
    assert update.discarded == 1


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_finite_updates_nothing_from_then_on(data, batches, what: str) -> None:
    class Spoiled(Factor):
        def finish(self) -> None:
            self.update.optimisation.gradients()[0].fill_(float("nan"))

    update = make_update(make_step(data))
    update(batches[0])
    before = snapshot(update)
    if what == "loss":
        out = update(replace(batches[1], vertices=batches[1].vertices * float("nan")))
    else:
        update.averaging = Spoiled(update)
        out = update(batches[1])
        update.averaging = None
    assert not out["finite"] and not out["accepted"]
    assert not update(batches[2])["accepted"]
    assert same(snapshot(update), before)
    reading = update.read()
    assert len(reading.outcomes) == 1 and reading.divergence is not None
    assert what in reading.divergence.what


class Factor:
    """An averaging that multiplies losses and gradients, and notes what it is given."""

    def __init__(self, update: Update, factor: float = 1.0) -> None:
        self.update, self.factor = update, factor
        self.values, self.gradients = torch.empty(0), []

    def start(self) -> None: ...

    def weight(self, values: torch.Tensor) -> torch.Tensor:
        self.values = values
        return torch.tensor(self.factor)

    def finish(self) -> None:
        self.gradients = [gradient.clone() for gradient in self.update.optimisation.gradients()]
        self.values.mul_(self.factor)


def test_averaging_has_a_say_on_gradients_and_losses_before_clipping(data, batches) -> None:
    """Processes with a batch each learn what one learns from the mean of their gradients, and judge alike."""
    step, seen = make_step(data), []
    for factor in (1.0, 100.0):
        update = make_update(copy.deepcopy(step))
        update.averaging = Factor(update, factor)
        torch.manual_seed(5)
        update(batches[0])
        seen.append((update.averaging, update.read().outcomes[0].values["total"]))
    (once, total), (enlarged, larger) = seen
    assert len(once.gradients) == len(list(step.model.parameters())) - sum(not p.requires_grad for p in step.model.parameters())
    assert once.values.shape == (len(VALUES),) and not once.values.requires_grad and total == float(once.values[-1])
    assert larger == pytest.approx(100 * total)
    for one, other in zip(once.gradients, enlarged.gradients):
        torch.testing.assert_close(100 * one, other, rtol=1e-4, atol=1e-5)


def test_values_are_read_when_wanted(data, batches) -> None:
    update = make_update(make_step(data))
    totals = [float(update(batch)["total"]) for batch in batches]
    assert update.pending == 3
    assert [outcome.values["total"] for outcome in update.read().outcomes] == pytest.approx(totals)
    assert update.pending == 0 and update.read().outcomes == []
