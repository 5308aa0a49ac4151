"""The compiled and recorded step on a CUDA device against the plain one in single precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from multiface import losses
from multiface.capture import FrameKey
from multiface.data import Batch
from multiface.models import build_model, fast_decoder
from multiface.train.guard import BatchGuard
from multiface.train.optimisation import Optimisation
from multiface.train.recording import WARM_UP
from multiface.train.step import Step
from multiface.train.update import Update
from small_models import ARCHS
from small_step import small_normalisation, small_topology

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
VERTICES, NLATENT, SIZE, CAMERAS = 20, 16, 256, 3


def make_update(arch: str, *, bf16: bool, compiled: bool) -> Update:
    torch.manual_seed(0)
    model = build_model(arch, tex_size=SIZE, mesh_inp_size=3 * VERTICES, nlatent=NLATENT, n_cams=CAMERAS)
    model = model.to("cuda", memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    normalisation = small_normalisation(VERTICES, SIZE).to("cuda")
    step = Step(model, normalisation, small_topology(), torch.arange(CAMERAS, device="cuda"))
    guard = BatchGuard(50.0, "cuda")
    return Update(step, Optimisation(model, 1e-3), losses.LossWeights(), guard, bf16=bf16, compiled=compiled)


def make_batch(number: int, views: int = 4, frames: int = 2) -> Batch:
    random = torch.Generator().manual_seed(number)

    def integers(*shape: int) -> torch.Tensor:
        return torch.randint(90, 166, shape, dtype=torch.uint8, generator=random)

    return Batch(
        keys=tuple(FrameKey("S", str(frame)) for frame in range(frames)),
        cameras=("a",) * views,
        frame_of_view=torch.arange(views) % frames,
        average=integers(frames, SIZE, SIZE, 3),
        vertices=torch.randn(frames, VERTICES, 3, generator=random),
        head_pose=torch.zeros(frames, 3, 4),
        texture=integers(views, SIZE, SIZE, 3),
        photo=None,
        camera_index=torch.arange(views) % CAMERAS,
        view=torch.randn(views, 3, generator=random),
        projection=torch.zeros(views, 3, 4),
    ).to("cuda")


def totals(update: Update, count: int = WARM_UP + 5) -> list[float]:
    torch.manual_seed(3)
    for number in range(count):
        # A small last batch in between is done plainly, one of fewer frames by the recording.
        update(make_batch(number, 2 if number == 5 else 4, 1 if number in (5, 6) else 2))
    reading = update.read()
    assert reading.divergence is None and all(outcome.accepted for outcome in reading.outcomes)
    return [outcome.values["total"] for outcome in reading.outcomes]


@pytest.mark.parametrize(("arch", "bf16"), [("base", False), ("base", True), ("warp", True)])
def test_fast_steps_learn_what_plain_ones_learn(arch: str, bf16: bool) -> None:
    plain = totals(make_update(arch, bf16=False, compiled=False))
    fast = totals(make_update(arch, bf16=bf16, compiled=True))
    # In single precision, too, some of the library's convolutions round: they compute in TF32.
    assert fast == pytest.approx(plain, rel=5e-2 if bf16 else 2e-2)


def test_a_recorded_step_leaves_everything_of_a_discarded_batch_and_stops_at_what_is_no_number() -> None:
    update = make_update("base", bf16=True, compiled=True)
    for number in range(WARM_UP + 2):
        update(make_batch(number))

    def snapshot() -> list[torch.Tensor]:
        moments = [x for o in update.optimisation.optimisers for state in o.state.values() for x in state.values()]
        return [x.detach().clone() for x in (*update.step.model.state_dict().values(), *moments)]

    before, batch = snapshot(), make_batch(99)
    assert not update(replace(batch, vertices=batch.vertices + 300))["accepted"]
    assert all(map(torch.equal, snapshot(), before))
    assert update(batch)["accepted"]
    assert not all(map(torch.equal, snapshot(), before))
    before = snapshot()
    assert not update(replace(batch, vertices=batch.vertices * float("nan")))["finite"]
    assert not update(batch)["accepted"]
    assert all(map(torch.equal, snapshot(), before))
    reading = update.read()
    assert reading.divergence is not None and update.discarded == 1
    assert [outcome.accepted for outcome in reading.outcomes] == [True] * (WARM_UP + 2) + [False, True]


def test_the_schedule_reaches_a_recorded_step() -> None:
    update = make_update("non", bf16=True, compiled=True)
    for number in range(WARM_UP + 2):
        update(make_batch(number))
    for _ in range(600):  # 0.95 ** 600 of the rate is nothing
        update.optimisation.end_epoch()
    before = {name: value.clone() for name, value in update.step.model.state_dict().items() if name[:3] != "cc."}
    update(make_batch(50))
    for name, value in update.step.model.state_dict().items():
        if name in before:
            torch.testing.assert_close(value, before[name], rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("arch", ARCHS)
def test_the_recorded_decoder_gives_what_the_model_gives(arch: str, monkeypatch) -> None:
    torch.manual_seed(0)
    model = build_model(arch, tex_size=SIZE, mesh_inp_size=3 * VERTICES, nlatent=NLATENT, n_cams=CAMERAS).cuda().eval()
    # differences are then those of the forms of convolutions alone
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    decoders = [(fast_decoder(model, 2, bf16=bf16), limit) for bf16, limit in ((False, 1e-4), (True, 3e-2))]
    for count in (2, 1, 2):
        z, view = torch.randn(count, NLATENT, device="cuda"), torch.randn(count, 3, device="cuda")
        cams = torch.arange(count, device="cuda")
        with torch.no_grad():
            expected = model.decode(z, view, cams)
        for decoder, limit in decoders:
            found = decoder(z, view, cams)
            error = (found.texture - expected.texture).square().mean().sqrt() / expected.texture.std()
            assert error < limit
            torch.testing.assert_close(found.vertices, expected.vertices, rtol=1e-3, atol=1e-4)
