"""Steps recorded and repeated: which batches are, that they come to the same, and what happens where it cannot be done.

On the CPU "recording" notes the work and "repeating" does it again on what lies at the same addresses, as a CUDA graph does.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from multiface import losses
from multiface.capture import FrameKey
from multiface.data import Batch
from multiface.data.block import BatchShape
from multiface.data.buffers import BatchBuffers
from multiface.models import build_model, forms
from multiface.train import precision, update
from multiface.train.guard import BatchGuard
from multiface.train.optimisation import Optimisation
from multiface.train.recording import OFTEN, WARM_UP, RecordedWork, StaticBatch
from multiface.train.step import Network, Step
from multiface.train.update import Update
from small_step import small_normalisation, small_topology


def make_batch(views: int = 4, frames: int = 2, *, textures: bool = True) -> Batch:
    def integers(*shape: int) -> torch.Tensor:
        return torch.randint(1, 256, shape, dtype=torch.uint8)

    return Batch(
        keys=tuple(FrameKey("S", str(number)) for number in range(frames)),
        cameras=("a",) * views,
        frame_of_view=torch.arange(views) % frames,
        average=integers(frames, 8, 8, 3),
        vertices=torch.randn(frames, 5, 3),
        head_pose=torch.randn(frames, 3, 4),
        texture=integers(views, 8, 8, 3) if textures else None,
        photo=None,
        camera_index=torch.zeros(views, dtype=torch.long),
        view=torch.randn(views, 3),
        projection=torch.randn(views, 3, 4),
    )


def batch_in_one_block(frames: int, filled_with: int) -> Batch:
    """As batches come from the loader: all tensors in one block of memory."""
    shape = BatchShape(views=4, frames=3, texture_size=8, n_vertices=5, photo_size=(6, 4), has_texture=True)
    buffers = BatchBuffers(shape)
    for number, array in enumerate(buffers.arrays.values(), filled_with):
        array[...] = number
    keys = tuple(FrameKey("S", str(number)) for number in range(frames))
    return buffers.batch_on(torch.device("cpu"), keys, ("a",) * 4)


@pytest.mark.parametrize("alike", [True, False])
def test_a_batch_in_one_block_is_one_copy(alike: bool) -> None:
    first = batch_in_one_block(3, 1)
    static = StaticBatch(first, torch.zeros(4, 2))
    before = {name: x.data_ptr() for name, x in tensors_of(static.batch).items()}
    second = batch_in_one_block(2, 50)
    if not alike:
        second = replace(second, view=second.view.clone())  # one of them elsewhere
    elif second.block is not None:
        assert "texture" not in vars(second), "tensors are made when they are asked for"
    copies = []
    with Copies(copies):
        static.fill(second, torch.ones(4, 2))
    assert len(copies) == (2 if alike else 1 + len(before))
    for name, x in tensors_of(second).items():
        assert torch.equal(tensors_of(static.batch)[name][: len(x)], x), name
        assert not torch.equal(tensors_of(first)[name][: len(x)], x), "the first batch is left alone"
    assert {name: x.data_ptr() for name, x in tensors_of(static.batch).items()} == before
    assert static.noise.eq(1).all()


class Copies(TorchDispatchMode):
    """Lists the copies that are made."""

    def __init__(self, found: list) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.copy_.default:
            self.found.append(args)
        return func(*args, **(kwargs or {}))


def tensors_of(batch: Batch) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: x for name, x in values.items() if isinstance(x, torch.Tensor)}


def digest(batch: Batch, noise: torch.Tensor) -> float:
    """A number that every tensor of the batch enters."""
    frames = batch.average.float().sum((1, 2, 3)) + batch.vertices.sum((1, 2)) + batch.head_pose.sum((1, 2))
    views = batch.view.sum(1) + batch.projection.sum((1, 2)) + batch.camera_index + noise.sum(1)
    texture = 0.0 if batch.texture is None else batch.texture.float().sum((1, 2, 3))
    return float((frames[batch.frame_of_view] + views + texture).sum())


class Work:
    """Counts how each batch was done."""

    def __init__(self) -> None:
        self.how: list[str] = []

    def compiled(self, batch, noise) -> float:
        self.how.append("compiled")
        return digest(batch, noise)

    def plain(self, batch, noise) -> float:
        self.how.append("plain")
        return digest(batch, noise)

    def record(self, work):
        def repeat():
            value = work()
            self.how[-1] = "repeated"
            return value

        return repeat


def run(work: RecordedWork, batch: Batch) -> None:
    noise = torch.randn(len(batch.view), 3)
    assert work(batch, noise) == pytest.approx(digest(batch, noise), rel=1e-6)


def test_the_first_shape_is_recorded_after_warming_up() -> None:
    work = Work()
    recorded = RecordedWork(work.compiled, work.plain, work.record)
    for _ in range(WARM_UP + 3):
        run(recorded, make_batch())
    assert work.how == ["compiled"] * WARM_UP + ["repeated"] * 3


def test_rare_shapes_are_done_plainly_and_frequent_ones_recorded_as_well() -> None:
    work = Work()
    recorded = RecordedWork(work.compiled, work.plain, work.record, warm_up=1)
    run(recorded, make_batch())
    for _ in range(OFTEN + 3):
        run(recorded, make_batch(3))
    run(recorded, make_batch())
    run(recorded, make_batch(1, 1))
    assert work.how == ["compiled"] + ["plain"] * OFTEN + ["compiled", "repeated", "repeated"] + ["repeated", "plain"]


def test_a_batch_of_fewer_frames_fits_and_one_of_more_does_not() -> None:
    static = StaticBatch(make_batch(4, 3), torch.zeros(4, 3))
    assert static.fits(make_batch(4, 3)) and static.fits(make_batch(4, 1))
    assert not static.fits(make_batch(4, 4)) and not static.fits(make_batch(3, 3))
    assert not static.fits(make_batch(4, 3, textures=False))
    work = Work()
    recorded = RecordedWork(work.compiled, work.plain, work.record, warm_up=0)
    for frames in (3, 1, 2, 3):
        run(recorded, make_batch(4, frames))
    assert work.how == ["repeated"] * 4


def test_what_cannot_be_recorded_goes_on_without() -> None:
    def refuse(work):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    work = Work()
    recorded = RecordedWork(work.compiled, work.plain, refuse, warm_up=1)
    run(recorded, make_batch())
    with pytest.warns(RuntimeWarning, match="not recorded as a CUDA graph: operation not permitted when stream is capturing$"):
        run(recorded, make_batch())
    run(recorded, make_batch())
    assert work.how == ["compiled"] * 3


def make_update(data_step, **more) -> Update:
    return Update(data_step, Optimisation(data_step.model, 1e-3), losses.LossWeights(), BatchGuard(50.0), **more)


def make_step(arch: str = "non"):
    torch.manual_seed(0)
    model = build_model(arch, tex_size=256, mesh_inp_size=15, nlatent=3, n_cams=2)
    return Step(model, small_normalisation(), small_topology(), torch.zeros(1, dtype=torch.long))


def large(batch: Batch) -> Batch:
    """With textures of the size of the network."""
    frames, views = len(batch.keys), len(batch.view)
    average, texture = (torch.randint(1, 256, (n, 256, 256, 3), dtype=torch.uint8) for n in (frames, views))
    return replace(batch, average=average, texture=texture)


def test_recorded_updates_learn_what_plain_ones_learn(monkeypatch) -> None:
    monkeypatch.setattr(update, "obstacle_to_compiling", lambda device: None)
    monkeypatch.setattr(update, "compile_for_one_shape", lambda function: function)
    monkeypatch.setattr(update, "RecordedWork", lambda work, plain: RecordedWork(work, plain, lambda work: work, warm_up=1))
    batches = [large(make_batch(views, frames)) for views, frames in ((2, 2), (2, 2), (2, 1), (1, 1), (2, 2))]
    weights = []
    for compiled in (False, True):
        each = make_update(make_step(), compiled=compiled)
        torch.manual_seed(4)
        values = [float(each(batch)["total"]) for batch in batches]
        assert [outcome.values["total"] for outcome in each.read().outcomes] == values
        weights.append(each.step.model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-5, atol=1e-7, msg=name)


def test_where_compiling_fails_training_goes_on_and_says_why(monkeypatch) -> None:
    def fail(*arguments):
        raise AttributeError("the compiler is broken\nin detail")

    monkeypatch.setattr(update, "obstacle_to_compiling", lambda device: None)
    monkeypatch.setattr(update, "compile_for_one_shape", lambda function: fail)
    monkeypatch.setattr(update, "RecordedWork", lambda work, plain: RecordedWork(work, plain, lambda work: work))
    each = make_update(make_step(), compiled=True)
    with pytest.warns(RuntimeWarning, match="not compiled: the compiler is broken$"):
        assert each(large(make_batch()))["accepted"]
    assert each(large(make_batch()))["accepted"]


def test_all_processes_compile_or_none(monkeypatch) -> None:
    """Another one cannot: at the start, or in the first update."""
    monkeypatch.setattr(update, "obstacle_to_compiling", lambda device: None)
    monkeypatch.setattr(update, "compile_for_one_shape", lambda function: function)
    monkeypatch.setattr(update, "RecordedWork", lambda work, plain: RecordedWork(work, plain, lambda work: work))
    each = make_update(make_step(), compiled=True, anywhere=lambda flag: True)
    assert each.notes == ["not compiled: another process of the job cannot; training is slower"]
    answers = [False, True]
    each = make_update(make_step(), compiled=True, anywhere=lambda flag: answers.pop(0))
    with pytest.warns(RuntimeWarning, match="not compiled: another process of the job cannot$"):
        assert each(large(make_batch()))["accepted"]
    assert each(large(make_batch()))["accepted"] and not answers


def test_what_stands_in_the_way_of_compiling_is_said_to_those_who_asked() -> None:
    assert make_update(make_step(), compiled=True).notes == [
        "not compiled: only networks on GPUs are compiled; training is slower"
    ]
    assert make_update(make_step()).notes == []


@pytest.mark.slow
def test_networks_and_losses_are_two_graphs_for_the_compiler(monkeypatch) -> None:
    monkeypatch.setattr(forms, "on_gpu", lambda x: True)
    step, batch, noise = make_step("warp"), large(make_batch(2, 1)), torch.randn(2, 3)
    graphs = Network(*(torch.compile(piece, fullgraph=True, backend="eager") for piece in step.network))
    with precision.mixed_precision(True, torch.device("cpu")):
        expected = step.training_terms(batch, screen=False, noise=noise)
        found = step.training_terms(batch, screen=False, noise=noise, network=graphs)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_precision_is_chosen_by_device() -> None:
    cpu = torch.device("cpu")
    assert not precision.use_bf16("auto", cpu) and not precision.use_bf16("fp32", cpu)
    assert precision.use_bf16("bf16", cpu)


def test_bfloat16_keeps_single_precision_where_it_matters() -> None:
    step, batch = make_step(), large(make_batch())
    noise = torch.randn(4, 3)
    exact = step.training_terms(batch, screen=False, noise=noise)
    with precision.mixed_precision(True, torch.device("cpu")):
        near = step.training_terms(batch, screen=False, noise=noise)
        out = step.model.decode(noise, batch.view)
    assert out.vertices.dtype == out.texture.dtype == torch.float32
    for name, value in exact.items():
        assert near[name].dtype == torch.float32
        torch.testing.assert_close(near[name], value, rtol=5e-3, atol=1e-6)
    assert out.texture.unique().numel() > 2000  # not rounded to the 256 values of an octave
