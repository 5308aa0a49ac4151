"""Repeating the same work on batches of one shape as a recorded CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

import torch

from multiface.data import Batch
from multiface.data.block import OF_FRAMES, BlockBatch

Result = TypeVar("Result")
Work = Callable[[Batch, torch.Tensor], Any]
Recorder = Callable[[Callable[[], Any]], Callable[[], Any]]
"""Takes work without arguments, returns what repeats it and gives its result, which is the same tensors each time."""

WARM_UP = 3
"""Batches done one operation at a time before recording: compilers, library tuning and optimiser states come first."""
MOST_SHAPES = 2
"""Shapes of batches that are worth compiling and recording; each needs memory of its own."""
OFTEN = 8
"""Batches of another shape than the first one's before that shape counts as worth it."""


def record_cuda_graph(work: Callable[[], Result]) -> Callable[[], Result]:
    """Record ``work`` without running it. A :data:`Recorder`."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    graph = torch.cuda.CUDAGraph()
    # Only this thread's calls belong to the recording: another one brings the next batches meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work()

    def repeat() -> Result:
        graph.replay()
        return result

    return repeat


class StaticBatch:
    """A batch at fixed addresses, into which others of its shape are copied.

    A batch with fewer frames for as many views fits too: no view refers to the frames that are left over. Batches that lie in
    one block of memory each are one copy: each call that starts something on the device may have to wait for threads that
    decode pictures.
    """

    def __init__(self, batch: Batch, noise: torch.Tensor) -> None:
        if isinstance(batch, BlockBatch) and batch.block is not None:
            self.batch: Batch = batch.copied()
        else:
            ours = {name: x.clone() for name, x in _tensors(batch).items()}
            self.batch = replace(batch, keys=(), cameras=(), **ours)
        self.noise = noise.clone()

    def fits(self, batch: Batch) -> bool:
        """Whether :meth:`fill` can take ``batch``."""
        if isinstance(self.batch, BlockBatch) and isinstance(batch, BlockBatch) and self._block_like_that_of(batch) is not None:
            return self.batch.views == batch.views and batch.frames <= self.batch.frames
        ours, theirs = _tensors(self.batch), _tensors(batch)
        return ours.keys() == theirs.keys() and all(
            x.dtype == theirs[name].dtype
            and x.shape[1:] == theirs[name].shape[1:]
            and (len(theirs[name]) <= len(x) if name in OF_FRAMES else len(theirs[name]) == len(x))
            for name, x in ours.items()
        )

    def fill(self, batch: Batch, noise: torch.Tensor) -> None:
        """Copy, without waiting."""
        if isinstance(batch, BlockBatch) and batch.block is not None and (block := self._block_like_that_of(batch)) is not None:
            block[: len(batch.block)].copy_(batch.block, non_blocking=True)
        else:
            theirs = _tensors(batch)
            for name, x in _tensors(self.batch).items():
                x[: len(theirs[name])].copy_(theirs[name], non_blocking=True)
        self.noise.copy_(noise, non_blocking=True)

    def _block_like_that_of(self, batch: BlockBatch) -> torch.Tensor | None:
        """The block of this batch, if everything lies in it as in that of ``batch``."""
        ours = self.batch
        return ours.block if isinstance(ours, BlockBatch) and batch.block is not None and ours.shape == batch.shape else None


class RecordedWork(Generic[Result]):
    """Does ``work(batch, noise)`` for the shapes that come often, at first as it is and then from a recording.

    Args:
        work: Must not wait for the device nor depend on anything else that changes, except tensors changed in place.
        plain: The same for shapes that are rare, such as the last batch of an epoch.
        record: :func:`record_cuda_graph`.
        warm_up: Batches of a shape before it is recorded.
    """

    def __init__(self, work: Work, plain: Work, record: Recorder = record_cuda_graph, warm_up: int = WARM_UP) -> None:
        self._work = work
        self._plain = plain
        self._record: Recorder | None = record
        self._warm_up = warm_up
        self._seen: dict[tuple, int] = {}
        self._chosen: list[tuple] = []
        self._recorded: list[tuple[StaticBatch, Callable[[], Result]]] = []

    def __call__(self, batch: Batch, noise: torch.Tensor) -> Result:
        """The result of the work; it holds until the next call."""
        for static, repeat in self._recorded:
            if static.fits(batch):
                static.fill(batch, noise)
                return repeat()
        shape = tuple((name, tuple(x.shape)) for name, x in _tensors(batch).items())
        self._seen[shape] = self._seen.get(shape, 0) + 1
        if not self._is_worth_it(shape):
            return self._plain(batch, noise)
        if self._record is None or self._seen[shape] <= self._warm_up:
            return self._work(batch, noise)
        return self._recording_of(batch, noise)

    def forget(self) -> None:
        """Drop the recordings, after a tensor that the work uses was replaced by another."""
        self._recorded.clear()
        self._seen.clear()
        self._chosen.clear()

    def _is_worth_it(self, shape: tuple) -> bool:
        if shape in self._chosen:
            return True
        if len(self._chosen) == MOST_SHAPES or (self._chosen and self._seen[shape] <= OFTEN):
            return False
        self._chosen.append(shape)
        self._seen[shape] = 1
        return True

    def _recording_of(self, batch: Batch, noise: torch.Tensor) -> Result:
        static = StaticBatch(batch, noise)
        try:
            repeat = (self._record or record_cuda_graph)(lambda: self._work(static.batch, static.noise))
        except RuntimeError as error:  # some library call cannot be recorded here
            warnings.warn(f"steps are not recorded as a CUDA graph: {first_line(error)}", RuntimeWarning, stacklevel=2)
            self._record = None
            return self._work(batch, noise)
        self._recorded.append((static, repeat))
        return repeat()


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a message."""
    return (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__


def _tensors(batch: Batch) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: x for name, x in values.items() if isinstance(x, torch.Tensor)}
