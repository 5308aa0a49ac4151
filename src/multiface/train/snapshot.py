"""A copy of the training state, made while training waits as little as possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

_ALIGNMENT = 64
"""Bytes; every tensor begins at a multiple."""
_PIECE = 16 << 20
"""Bytes that leave a GPU at a time."""


@dataclass(frozen=True)
class Snapshot:
    """A copy of a state that later updates do not change.

    All tensors of a device lie in one block, copied there by a few calls: one by one, hundreds of allocations and copies would
    leave a GPU without work meanwhile. The way to the CPU is the writer's.

    Attributes:
        tree: The state; tensors are numbered places in the blocks.
        blocks: (bytes,) uint8 for each device.
        places: Where each tensor lies.
        ready: When the copies on a GPU are finished; None when there is none.
    """

    tree: Any
    blocks: dict[torch.device, torch.Tensor]
    places: tuple[_Place, ...]
    ready: torch.cuda.Event | None

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Snapshot:
        """Copy ``tree``; nothing waits for a GPU."""
        tensors: list[torch.Tensor] = []

        def numbered(tensor: torch.Tensor) -> _Number:
            tensors.append(tensor.detach())
            return _Number(len(tensors) - 1)

        taken = _mapped(tree, torch.Tensor, numbered)
        places, sizes = _placed(tensors)
        blocks = {device: torch.empty(size, dtype=torch.uint8, device=device) for device, size in sizes.items()}
        for device, dtype in {(place.device, place.dtype) for place in places}:  # all of a type by one call
            mine = [n for n, place in enumerate(places) if (place.device, place.dtype) == (device, dtype)]
            torch._foreach_copy_([places[n].in_block(blocks[device]) for n in mine], [tensors[n] for n in mine])
        gpus = [device for device in blocks if device.type == "cuda"]
        ready = None
        if gpus:
            ready = torch.cuda.Event()
            ready.record(torch.cuda.current_stream(gpus[0]))
        return cls(taken, blocks, tuple(places), ready)

    def beside_training(self) -> AbstractContextManager[Any]:
        """Context in which what is done with GPUs holds up no training; it begins when the copies there are finished."""
        if self.ready is None:
            return nullcontext()
        self.ready.synchronize()
        return torch.cuda.stream(torch.cuda.Stream(next(device for device in self.blocks if device.type == "cuda")))

    def on_cpu(self) -> dict[str, Any]:
        """The tree with its tensors, on the CPU."""
        blocks = {device: _on_cpu(block) for device, block in self.blocks.items()}
        return _mapped(self.tree, _Number, lambda number: self.places[number.n].in_block(blocks[self.places[number.n].device]))


@dataclass(frozen=True)
class _Number:
    """Stands for a tensor."""

    n: int


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies, in memory as it did before."""

    device: torch.device
    start: int
    dtype: torch.dtype
    shape: torch.Size
    strides: tuple[int, ...]

    def in_block(self, block: torch.Tensor) -> torch.Tensor:
        """The tensor in its device's block."""
        return block.view(self.dtype).as_strided(self.shape, self.strides, self.start // self.dtype.itemsize)


def _placed(tensors: Sequence[torch.Tensor]) -> tuple[list[_Place], dict[torch.device, int]]:
    """A place for each, and the bytes that each device's block needs."""
    places, sizes = [], dict[torch.device, int]()
    for tensor in tensors:
        # As a copy would lie: in the same order where the tensor is dense, else one row after the other.
        strides = torch.empty_like(tensor, device="meta").stride()
        start = sizes.get(tensor.device, 0)
        places.append(_Place(tensor.device, start, tensor.dtype, tensor.shape, strides))
        sizes[tensor.device] = start + -(-tensor.numel() * tensor.element_size() // _ALIGNMENT) * _ALIGNMENT
    return places, sizes


def _on_cpu(block: torch.Tensor) -> torch.Tensor:
    """``block`` in the CPU's memory, through a page-locked piece where it is on a GPU.

    Straight into other memory, all that threads want of the GPU would have to wait until the whole of it is there.
    """
    if block.device.type != "cuda":
        return block.cpu()
    return _by_way_of(torch.empty(_PIECE, dtype=block.dtype, pin_memory=True), block)


def _by_way_of(piece: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    """A copy of ``block`` on the CPU, as much at a time as ``piece`` holds."""
    whole = torch.empty(block.shape, dtype=block.dtype)
    for source, place in zip(block.split(len(piece)), whole.split(len(piece))):
        place.copy_(piece[: len(source)].copy_(source))
    return whole


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, kind, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(item, kind, change) for item in value])
    return value
