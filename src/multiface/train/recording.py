"""Repeating the same work on batches of one shape as a recorded CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

import torch

from multiface.data import Batch
from multiface.data.buffers import OF_FRAMES

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

    A batch with fewer frames for as many views fits too: no view refers to the frames that are left over. Where the tensors
    of batches lie in one block of memory each, in the same places, a batch is one copy: each call that starts something on
    the device may have to wait for threads that decode pictures.
    """

    def __init__(self, batch: Batch, noise: torch.Tensor) -> None:
        theirs = _tensors(batch)
        self._block, self._places = _block_of(theirs), _places(theirs)
        if self._block is None:
            ours = {name: x.clone() for name, x in theirs.items()}
        else:
            self._block = self._block.clone()
            storage = self._block.untyped_storage()
            ours = {name: torch.empty(0, dtype=x.dtype, device=x.device) for name, x in theirs.items()}
            for name, x in ours.items():
                x.set_(storage, theirs[name].storage_offset(), theirs[name].shape, theirs[name].stride())
        self.batch = replace(batch, keys=(), cameras=(), **ours)
        self.noise = noise.clone()

    def fits(self, batch: Batch) -> bool:
        """Whether :meth:`fill` can take ``batch``."""
        ours, theirs = _tensors(self.batch), _tensors(batch)
        return ours.keys() == theirs.keys() and all(
            x.dtype == theirs[name].dtype
            and x.shape[1:] == theirs[name].shape[1:]
            and (len(theirs[name]) <= len(x) if name in OF_FRAMES else len(theirs[name]) == len(x))
            for name, x in ours.items()
        )

    def fill(self, batch: Batch, noise: torch.Tensor) -> None:
        """Copy, without waiting."""
        theirs = _tensors(batch)
        block = None if self._block is None or _places(theirs) != self._places else _block_of(theirs)
        if self._block is not None and block is not None and len(block) <= len(self._block):
            self._block[: len(block)].copy_(block, non_blocking=True)
        else:
            for name, x in _tensors(self.batch).items():
                x[: len(theirs[name])].copy_(theirs[name], non_blocking=True)
        self.noise.copy_(noise, non_blocking=True)


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


def _places(tensors: dict[str, torch.Tensor]) -> list[tuple[str, int]]:
    """Name and first byte of each tensor in its memory."""
    return [(name, int(x.storage_offset()) * x.element_size()) for name, x in tensors.items()]


def _block_of(tensors: dict[str, torch.Tensor]) -> torch.Tensor | None:
    """The bytes of the memory in which all the tensors lie; None where there are several."""
    storages = [x.untyped_storage() for x in tensors.values()]
    if any(storage.data_ptr() != storages[0].data_ptr() for storage in storages):
        return None
    device = next(iter(tensors.values())).device
    return torch.empty(0, dtype=torch.uint8, device=device).set_(storages[0])  # pyright: ignore[reportArgumentType]


def _tensors(batch: Batch) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: x for name, x in values.items() if isinstance(x, torch.Tensor)}
