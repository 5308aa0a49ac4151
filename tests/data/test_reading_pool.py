"""Batches read by processes of their own: the same as by threads, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from batch_values import same, values
from multiface.capture import Capture
from multiface.core.errors import ArgumentError, MultifaceError
from multiface.data import BatchLoader, DevicePrefetcher, build_index, prefetch, rings
from multiface.data.block import BatchShape, place
from multiface.data.buffers import BatchBuffers
from multiface.data.reading_pool import ReadingPool
from multiface.data.reading_worker import Answer
from multiface.data.shared_blocks import SharedBlocks
from multiface.prepare.pack.run import pack_capture
from multiface.prepare.pack.settings import PackSettings
from small_capture import write_small_capture

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memory that processes can share")


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Capture:
    return write_small_capture(tmp_path_factory.mktemp("capture"))


def make_loader(capture: Capture, **options) -> BatchLoader:
    index = build_index(capture, capture.frames, None)
    usual = {"photo_size": (24, 16), "shuffle": True, "seed": 3, "workers": 2, "processes": 2}
    return BatchLoader(capture, index, 4, **{**usual, **options})


@pytest.fixture
def prefetcher(capture) -> Iterator[DevicePrefetcher]:
    """Of a loader with two reading processes that have started."""
    made = started(make_loader(capture))
    yield made
    made.close()


def started(loader: BatchLoader) -> DevicePrefetcher:
    made = DevicePrefetcher(loader, "cpu", background=True)
    made.loader.set_epoch(9)
    list(made)  # threads read, perhaps, while the processes start
    assert made._ring is not None and made._ring.pool is not None
    made._ring.pool.wait()
    made.loader.set_epoch(0)
    return made


def workers(prefetcher: DevicePrefetcher) -> list:
    assert prefetcher._ring is not None and prefetcher._ring.pool is not None
    return prefetcher._ring.pool._workers


def in_threads(monkeypatch) -> None:
    """Reading by threads of this process fails from now on."""

    def fail(*_):
        raise AssertionError("read by a thread of this process")

    for name in ("read_view", "read_frame"):
        monkeypatch.setattr(f"multiface.data.reader.SampleReader.{name}", fail)


def assert_whole(capture: Capture, prefetcher: DevicePrefetcher) -> None:
    expected = list(map(values, make_loader(capture)))
    got = list(map(values, prefetcher))
    assert len(got) == len(expected) == 5
    assert all(same(a, b) for a, b in zip(expected, got))


def test_batches_are_the_same_and_processes_read_them(capture, prefetcher, monkeypatch):
    expected = list(map(values, make_loader(capture)))
    in_threads(monkeypatch)
    for _ in range(3):
        got = list(map(values, prefetcher))
        assert len(got) == 5 and all(same(a, b) for a, b in zip(expected, got))
    assert {worker.n_to_do for worker in workers(prefetcher)} == {0} and prefetcher.is_settled


def test_each_gets_its_turn_unless_it_has_more_to_do():
    class Fake:
        def __init__(self, n_to_do: int, last_asked: int, there: bool = True) -> None:
            self.n_to_do, self.last_asked, self.is_there = n_to_do, last_asked, lambda: there

    pool = object.__new__(ReadingPool)
    pool._workers = [Fake(1, 4), Fake(1, 2), Fake(1, 3), Fake(2, 1), Fake(0, 0, there=False)]  # type: ignore[list-item]
    assert pool.next_worker() is pool._workers[1]
    pool._workers[2].n_to_do = 0
    assert pool.next_worker() is pool._workers[2]
    pool._workers = pool._workers[-1:]
    assert pool.next_worker() is None


def test_until_they_have_started_threads_read(capture, monkeypatch):
    monkeypatch.setattr("multiface.data.worker_handle.Worker.is_there", lambda self: False)
    made = DevicePrefetcher(make_loader(capture), "cpu", background=True)
    assert_whole(capture, made)
    assert not made.is_settled
    made.close()


def test_leaving_early_gives_all_memory_back(capture, prefetcher):
    for _ in range(4):
        shares = prefetcher.shares()
        next(shares)
        shares.close()
    assert_whole(capture, prefetcher)


def test_a_process_that_is_killed_is_done_without(capture, prefetcher):
    victim, other = workers(prefetcher)
    os.kill(victim._process.pid, signal.SIGKILL)
    victim._process.wait()
    with pytest.warns(RuntimeWarning, match=r"has died \(signal 9\)"):
        assert_whole(capture, prefetcher)
    assert other.is_there() and not victim.is_there()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        assert_whole(capture, prefetcher)


def test_so_are_all_of_them_while_they_read(capture, prefetcher, monkeypatch):
    """Each is killed when it has got something to do: what it had to read is read again."""
    ask = type(workers(prefetcher)[0]).ask

    def ask_and_kill(self, *what):
        os.kill(self._process.pid, signal.SIGSTOP)  # so that it cannot answer before
        ticket = ask(self, *what)
        os.kill(self._process.pid, signal.SIGKILL)
        return ticket

    monkeypatch.setattr("multiface.data.worker_handle.Worker.ask", ask_and_kill)
    with pytest.warns(RuntimeWarning, match="has died"):
        assert_whole(capture, prefetcher)
    assert not any(worker.is_there() for worker in workers(prefetcher))


def test_broken_files_are_replaced_and_named_as_with_threads(tmp_path):
    capture = write_small_capture(tmp_path)
    frame = capture.frames[1]
    capture.layout.texture(frame, next(iter(capture.cameras))).write_bytes(b"no picture")
    capture.layout.vertices(capture.frames[2]).write_bytes(b"short")
    loader, plain = make_loader(capture), make_loader(capture, processes=0)
    prefetcher = DevicePrefetcher(loader, "cpu", background=True)
    iterator = iter(prefetcher)
    got = [values(next(iterator))]
    assert prefetcher._ring is not None and prefetcher._ring.pool is not None
    prefetcher._ring.pool.wait()
    got += map(values, iterator)
    assert all(same(a, b) for a, b in zip(map(values, plain), got, strict=True))
    assert loader.skipped == plain.skipped and len(loader.skipped) == 2
    prefetcher.close()


def test_what_goes_wrong_there_is_told_here(prefetcher, monkeypatch):
    worker = workers(prefetcher)[0]
    monkeypatch.setattr(
        "multiface.data.worker_handle.Worker.answer", lambda self, ticket: Answer(ticket, [], "MemoryError: of it")
    )
    with pytest.raises(MultifaceError, match=r"(?s)process that reads batches failed.*MemoryError: of it"):
        list(prefetcher)
    assert worker.is_there()


def test_they_end_with_whoever_started_them(tmp_path):
    write_small_capture(tmp_path / "capture")
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from multiface.capture import Capture\n"
        "from multiface.data import BatchLoader, DevicePrefetcher, build_index\n"
        "capture = Capture(sys.argv[1])\n"
        "loader = BatchLoader(capture, build_index(capture, capture.frames, None), 4, workers=2, processes=2)\n"
        "prefetcher = DevicePrefetcher(loader, 'cpu', background=True)\n"
        "shares = prefetcher.shares()\n"
        "next(shares)\n"
        "print([worker._process.pid for worker in prefetcher._ring.pool._workers], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, program, tmp_path / "capture"], stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == -9
    # Both held the other end of the output, if only by their errors: the pipe has ended, and so have they, or are about to.
    pids = [int(word) for word in done.stdout.strip("[]\n").split(",")]
    assert len(pids) == 2
    for pid in pids:
        assert_ends(pid)


def assert_ends(pid: int, seconds: float = 60.0) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    try:
        assert select.select([descriptor], [], [], seconds)[0], "it still runs"
    finally:
        os.close(descriptor)


def test_closed_they_are_gone_and_come_again(capture, prefetcher):
    processes = [worker._process for worker in workers(prefetcher)]
    prefetcher.close()
    assert all(process.poll() is not None for process in processes)
    assert_whole(capture, prefetcher)


def test_where_there_are_none_it_is_said_and_threads_read(capture, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    with pytest.warns(RuntimeWarning, match=r"threads read, not processes.*no memory that processes share"):
        assert_whole(capture, DevicePrefetcher(make_loader(capture), "cpu", background=True))


@pytest.mark.parametrize(
    ("workers", "cache", "decoded", "codecs", "expected"),
    [
        (12, 0, 10**9, {"lz4", "raw"}, 3),
        (8, 0, 10**9, {"lz4"}, 2),
        (7, 0, 10**9, {"lz4"}, 0),
        (12, 10**9, 10**9, {"lz4"}, 0),
        (12, 10**9, 5 * 10**9, {"raw"}, 3),
        (12, 0, 10**9, {"lz4", "jpeg"}, 0),
        (12, 0, 10**9, {"png"}, 0),
        (12, 0, 10**9, None, 0),
    ],
)
def test_how_many_are_used(workers, cache, decoded, codecs, expected):
    store = None if codecs is None else SimpleNamespace(uses=codecs.__contains__, is_local=True)
    assert rings.choose_processes(workers, cache, decoded, store) == expected


def test_none_are_used_for_a_network_or_where_the_system_has_no_memory_to_share(monkeypatch):
    far, near = (SimpleNamespace(uses=lambda codec: codec == "lz4", is_local=is_local) for is_local in (False, True))
    assert rings.choose_processes(12, 0, 10**9, far) == 0
    monkeypatch.delattr(os, "memfd_create")
    assert rings.choose_processes(12, 0, 10**9, near) == 0


def test_the_loader_knows_what_it_reads(capture, tmp_path):
    """A store as `multiface pack` makes it; files are left to threads."""
    pack_capture(capture.path, tmp_path / "store", PackSettings())
    options = {"workers": 8, "processes": None, "cache_bytes": 0}
    assert make_loader(Capture(tmp_path / "store"), **options).reading_processes() == 2
    assert make_loader(capture, **options).reading_processes() == 0
    assert make_loader(Capture(tmp_path / "store"), **{**options, "cache_bytes": 10**9}).reading_processes() == 0
    assert make_loader(capture, **{**options, "processes": 3}).reading_processes() == 3


def test_a_negative_number_is_refused(capture):
    with pytest.raises(ArgumentError, match="reading processes must not be negative"):
        make_loader(capture, processes=-1)


def test_png_rows_may_be_left_to_the_device(capture, monkeypatch):
    """What is left, and of which rows, comes from the process along with the pictures."""
    undone = []
    undo = prefetch.BatchBuffers._undo_filters
    monkeypatch.setattr(prefetch, "can_undo_filters", lambda device: True)
    monkeypatch.setattr("multiface.data.buffers.BatchBuffers._undo_filters", lambda self, batch, block: undone.append(undo))
    made = started(make_loader(capture))
    in_threads(monkeypatch)
    list(made)
    assert len(undone) >= 5
    made.close()


def test_memory_is_seen_by_both_sides():
    shape = BatchShape(views=2, frames=1, texture_size=8, n_vertices=7, photo_size=None, has_texture=True, jpeg=True)
    size = place(shape)[1]
    memory = SharedBlocks(3, size)
    again = SharedBlocks(3, size, os.dup(memory.descriptor))
    ours, theirs = (BatchBuffers(shape, block=blocks.blocks[1]) for blocks in (memory, again))
    ours.arrays["texture"][1] = 7
    ours.arrays["texture_jpeg"][:] = [[1, 2], [3, 4]]
    assert (theirs.arrays["texture"][1] == 7).all() and theirs.arrays["texture_jpeg"].tolist() == [[1, 2], [3, 4]]
    assert not again.blocks[0].any() and not again.blocks[2].any()


@pytest.mark.gpu
def test_on_a_gpu_they_read_into_page_locked_memory(capture, monkeypatch):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    made = DevicePrefetcher(make_loader(capture), "cuda")
    expected = list(map(values, make_loader(capture)))
    list(made)
    assert made._ring is not None and made._ring.pool is not None and made._ring.pool.blocks[0].is_pinned()
    made._ring.pool.wait()
    in_threads(monkeypatch)
    for _ in range(3):
        got = [values(batch.to("cpu")) for batch in made]
        assert len(got) == 5 and all(same(a, b) for a, b in zip(expected, got))
    made.close()


def test_paths_with_odd_names_are_no_trouble(tmp_path: Path):
    capture = write_small_capture(tmp_path / "ein Gesicht, 'zitiert' & mehr")
    made = started(make_loader(capture))
    assert_whole(capture, made)
    made.close()
