"""Gradients averaged over processes while the backward pass is still computing the rest.

The mean is the one over all views of the whole batch: each process's gradient counts by the views it had, also when files
were broken or a share was empty. Every loss term is a mean over views of the same size (masked texels count in the divisor,
see :mod:`multiface.losses`), so this is exactly the gradient that one process with the whole batch would have, up to the
order of float32 additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist

BUCKET_BYTES = 128 << 20
"""Gradients are summed in pieces of about this size. A compiled piece of the network gives all of its gradients at once, so
that smaller pieces begin no earlier, and each costs a little (docs/benchmarks.md)."""

_ALIGNMENT = 64
"""Entries; where one gradient of a list begins elsewhere than memory is fetched from, copies and optimisers go one by one."""


@dataclass
class _Bucket:
    """Neighbouring parameters and the memory in which their gradients are summed."""

    parameters: list[torch.nn.Parameter]
    flat: torch.Tensor
    views: list[torch.Tensor]
    arrived: set[int] = field(default_factory=set)
    work: dist.Work | None = None


class GradientAverager:
    """Averages gradients and losses over processes: a :class:`multiface.train.update.Averaging`.

    :meth:`begin` comes before each update. In the update the views of all processes are counted while the forward pass
    computes, so that the backward pass begins with what this process counts for and sums are all that is left to do. Losses,
    and every bucket of gradients that is complete, are summed while the backward pass goes on; :meth:`finish` waits for them.
    All sums start in one order everywhere, whatever the order in which gradients arrive. Nothing waits on the host when
    gradients are on a GPU, and CUDA graphs can capture it.

    Args:
        stages: Parameters that get gradients, in the order of the model; those of a stage are there before those of the next.
        bucket_bytes: Size of the pieces, :data:`BUCKET_BYTES` when absent; none has parameters of two stages.
    """

    def __init__(self, stages: Sequence[Sequence[torch.nn.Parameter]], bucket_bytes: int | None = None) -> None:
        size = bucket_bytes or BUCKET_BYTES
        self._buckets = [_make_bucket(group) for stage in stages for group in _grouped(stage, size)]
        self._bucket_of = {id(p): bucket for bucket in self._buckets for p in bucket.parameters}
        device = self._buckets[0].flat.device
        self._views = torch.zeros((), device=device)
        self._total = torch.zeros((), device=device)
        self._counting: dist.Work | None = None
        self._values: tuple[torch.Tensor, torch.Tensor, dist.Work | None] | None = None
        self._active = False
        self._next = 0
        self._hooks = [p.register_post_accumulate_grad_hook(self._arrived) for stage in stages for p in stage]

    def begin(self, views: int) -> None:
        """Get ready for an update with a batch of ``views`` views (0: its gradient does not count)."""
        self._views.fill_(float(views))

    def start(self) -> None:
        """The update begins: count the views of all processes. Also after a pass that broke off, as when recording failed."""
        self._active = True
        self._next = 0
        for bucket in self._buckets:
            bucket.arrived.clear()
            bucket.work = None
        self._total.copy_(self._views)
        self._counting = dist.all_reduce(self._total, async_op=True)

    def weight(self, values: torch.Tensor) -> torch.Tensor:
        """This process's part of all views, with which its backward pass has to begin; ``values`` are averaged meanwhile.

        The losses of a process without views do not count, whatever they are.
        """
        _wait(self._counting)
        part = self._views / self._total.clamp(min=1.0)
        sums = torch.where(self._views > 0, values * part, torch.zeros_like(values))
        self._values = values, sums, dist.all_reduce(sums, async_op=True)
        return part

    def _arrived(self, parameter: torch.nn.Parameter) -> None:
        if not self._active:  # a backward pass that is no update: fitting in a validation, or compiling
            return
        self._bucket_of[id(parameter)].arrived.add(id(parameter))
        while self._next < len(self._buckets) and self._complete(self._buckets[self._next]):
            self._sum(self._buckets[self._next])

    def _complete(self, bucket: _Bucket) -> bool:
        return len(bucket.arrived) == len(bucket.parameters)

    def _sum(self, bucket: _Bucket) -> None:
        there = [(view, p.grad) for p, view in zip(bucket.parameters, bucket.views) if p.grad is not None]
        if len(there) < len(bucket.parameters):
            bucket.flat.zero_()
        if there:  # all at once: small kernels one by one would take longer than the sum
            torch._foreach_copy_([view for view, _ in there], [gradient for _, gradient in there])
        bucket.work = dist.all_reduce(bucket.flat, async_op=True)
        self._next += 1

    def finish(self) -> None:
        """Wait for all sums; gradients and losses are then those of the whole batch."""
        while self._next < len(self._buckets):
            self._sum(self._buckets[self._next])
        self._active = False
        for bucket in self._buckets:
            _wait(bucket.work)
            for parameter, view in zip(bucket.parameters, bucket.views):
                if parameter.grad is not None:
                    parameter.grad = view
        if self._values is not None:
            values, sums, work = self._values
            _wait(work)
            values.copy_(sums)
            self._values = None

    def close(self) -> None:
        """Leave the parameters alone."""
        for hook in self._hooks:
            hook.remove()


def _wait(work: dist.Work | None) -> None:
    if work is not None:
        work.wait()


def _grouped(parameters: Sequence[torch.nn.Parameter], bucket_bytes: int) -> list[list[torch.nn.Parameter]]:
    """Neighbours of one type, last parameters first: about the order in which a backward pass finishes them."""
    groups: list[list[torch.nn.Parameter]] = []
    size = bucket_bytes
    for parameter in reversed(parameters):
        if size >= bucket_bytes or parameter.dtype != groups[-1][0].dtype:
            groups.append([])
            size = 0
        groups[-1].append(parameter)
        size += parameter.numel() * parameter.element_size()
    return groups


def _make_bucket(parameters: list[torch.nn.Parameter]) -> _Bucket:
    first = parameters[0]
    starts, end = [], 0
    for parameter in parameters:
        starts.append(end)
        end += -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT
    flat = torch.zeros(end, dtype=first.dtype, device=first.device)
    # With the strides of the parameter (channels last), which the fused optimiser wants of its gradient.
    views = [torch.as_strided(flat, p.shape, p.stride(), start) for p, start in zip(parameters, starts, strict=True)]
    return _Bucket(parameters, flat, views)
