"""Batches read into memory that is used again, by a thread of its own, and handed out on the device."""

from __future__ import annotations

import threading

import pytest
import torch

from batch_values import same, values
from multiface.capture import Capture
from multiface.core.errors import MultifaceError
from multiface.data import BatchLoader, DevicePrefetcher, build_index
from multiface.data.block import BatchShape
from multiface.data.buffers import BatchBuffers
from small_capture import write_small_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Capture:
    return write_small_capture(tmp_path_factory.mktemp("capture"))


def make_loader(capture: Capture, **options) -> BatchLoader:
    index = build_index(capture, capture.frames, None)
    return BatchLoader(capture, index, 4, **{"photo_size": (24, 16), "shuffle": True, "seed": 3, **options})


@pytest.mark.parametrize("options", [{}, {"views_per_frame": 3}, {"photo_size": None}, {"need_texture": False}, {"workers": 0}])
def test_in_the_background_batches_are_the_same(capture, options):
    expected = list(map(values, make_loader(capture, **options)))
    prefetcher = DevicePrefetcher(make_loader(capture, **options), "cpu", background=True)
    got = list(prefetcher)
    assert len(got) == len(prefetcher) == 5
    assert all(same(a, values(b)) for a, b in zip(expected, got)), "also those handed out long ago"


def test_memory_is_used_again(capture, monkeypatch):
    made = []
    original = BatchBuffers.__init__
    monkeypatch.setattr(BatchBuffers, "__init__", lambda self, *a, **k: made.append(1) or original(self, *a, **k))
    prefetcher = DevicePrefetcher(make_loader(capture, workers=2), "cpu", background=True)
    for _ in range(4):
        assert len(list(prefetcher)) == 5
    assert len(made) <= 4


def test_on_the_cpu_it_is_the_loader_itself(capture):
    before = threading.active_count()
    batches = iter(DevicePrefetcher(make_loader(capture, workers=0), "cpu"))
    next(batches)
    assert threading.active_count() == before
    assert len(list(batches)) == 4


@pytest.mark.parametrize("how", ["leave", "raise", "end"])
def test_the_thread_ends_with_the_iteration(capture, how):
    before = threading.active_count()
    prefetcher = DevicePrefetcher(make_loader(capture), "cpu", background=True)
    shares = prefetcher.shares()
    next(shares)
    assert threading.active_count() > before
    if how == "leave":
        shares.close()
    elif how == "raise":
        with pytest.raises(KeyboardInterrupt):
            shares.throw(KeyboardInterrupt)
    else:
        list(shares)
    assert threading.active_count() == before
    assert len(list(prefetcher)) == 5, "all buffers came back"


def test_an_error_while_reading_comes_out_and_nothing_hangs(capture, monkeypatch):
    monkeypatch.setattr(Capture, "vertices", lambda self, key: 1 / 0)
    prefetcher = DevicePrefetcher(make_loader(capture), "cpu", background=True)
    with pytest.raises(ZeroDivisionError):
        list(prefetcher)
    monkeypatch.undo()
    assert len(list(prefetcher)) == 5


def test_a_thread_that_dies_without_a_word_is_noticed(capture, monkeypatch):
    monkeypatch.setattr(DevicePrefetcher, "_produce", lambda *_: None)
    with pytest.raises(MultifaceError, match="died"):
        list(DevicePrefetcher(make_loader(capture), "cpu", background=True))


def test_the_epoch_and_its_start_are_those_of_the_loader(capture):
    loader = make_loader(capture)
    prefetcher = DevicePrefetcher(loader, "cpu", background=True)
    loader.set_epoch(2)
    whole = [batch.cameras for batch in prefetcher]
    loader.set_epoch(2, start=3)
    assert [batch.cameras for batch in prefetcher] == whole[3:] and len(prefetcher) == 2


def test_buffers_hold_smaller_batches(capture):
    shape = BatchShape(views=5, frames=3, texture_size=8, n_vertices=7, photo_size=(6, 4), has_texture=True)
    buffers = BatchBuffers(shape)
    for number, array in enumerate(buffers.arrays.values(), 1):
        array[...] = number
    keys, cameras = capture.frames[:2], ("a", "b", "c", "d")
    for batch in (buffers.batch(keys, cameras), buffers.batch_on(torch.device("cpu"), keys, cameras)):
        assert batch.average.shape == (2, 8, 8, 3) and batch.texture.shape == (4, 8, 8, 3) and batch.photo.shape == (4, 6, 4, 3)
        assert batch.vertices.shape == (2, 7, 3) and batch.projection.shape == (4, 3, 4)
        found = {name: set(getattr(batch, name).flatten().tolist()) for name in buffers.arrays}
        assert found == {name: {number} for number, name in enumerate(buffers.arrays, 1)}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_batches_are_the_same(capture):
    expected = list(map(values, make_loader(capture)))
    for _ in range(3):
        got = [values(batch.to("cpu")) for batch in DevicePrefetcher(make_loader(capture), "cuda")]
        assert all(same(a, b) for a, b in zip(expected, got)) and len(got) == 5
