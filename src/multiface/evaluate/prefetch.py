"""Batches on the device before they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import fields, replace

import torch

from multiface.core.parallel import ordered_map
from multiface.data import Batch, Sample


def device_batches(batches: Iterable[Batch], device: torch.device) -> Iterator[tuple[Batch, list[Sample]]]:
    """The batches on ``device`` with their samples, in order.

    On a GPU a thread copies the next batch through page-locked memory on a stream of its own while the device works on this
    one, so that neither waits for the other; two batches are on their way at most.
    """
    if device.type != "cuda":
        for batch in batches:
            samples = samples_of_batch(batch)
            yield batch.to(device), samples
        return
    stream = torch.cuda.Stream(device)

    def move(batch: Batch) -> tuple[Batch, list[Sample], torch.cuda.Event]:
        samples = samples_of_batch(batch)
        arrived = torch.cuda.Event()
        with torch.cuda.device(stream.device), torch.cuda.stream(stream):
            moved = _each_tensor(batch, lambda x: x if x.is_cuda else x.pin_memory()).to(device, non_blocking=True)
            arrived.record(stream)
        return moved, samples, arrived

    with closing(ordered_map(move, batches, workers=1, ahead=2)) as results:
        for moved, samples, arrived in results:
            current = torch.cuda.current_stream(device)
            current.wait_event(arrived)
            _each_tensor(moved, lambda x, current=current: _keep_for(x, current))
            yield moved, samples


def samples_of_batch(batch: Batch) -> list[Sample]:
    """The samples of a batch that is still in the memory of the host."""
    return list(map(Sample, batch.view_keys, batch.cameras))


def _each_tensor(batch: Batch, change) -> Batch:
    values = ((field.name, getattr(batch, field.name)) for field in fields(batch))
    return replace(batch, **{name: change(x) for name, x in values if isinstance(x, torch.Tensor)})


def _keep_for(tensor: torch.Tensor, stream: torch.cuda.Stream) -> torch.Tensor:
    """Memory of another stream may not be reused before ``stream`` is done with it."""
    tensor.record_stream(stream)  # type: ignore[arg-type]
    return tensor
