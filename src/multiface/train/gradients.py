"""Gradients averaged over processes while the backward pass is still computing the rest.

The mean is the one over all views of the whole batch: each process's gradient counts by the views it had, also when files
were broken or a share was empty. Every loss term is a mean over views of the same size (masked texels count in the divisor,
see :mod:`multiface.losses`), so this is exactly the gradient that one process with the whole batch would have, up to the
order of float32 additions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist

BUCKET_BYTES = 16 << 20
"""Gradients are summed in pieces of about this size: large enough for the network, small enough to begin early."""


@dataclass
class _Bucket:
    """Neighbouring parameters and the memory in which their gradients are summed."""

    parameters: list[torch.nn.Parameter]
    flat: torch.Tensor
    views: list[torch.Tensor]
    arrived: set[int] = field(default_factory=set)
    work: dist.Work | None = None


class GradientAverager:
    """Averages gradients and loss values over processes; give it to :class:`multiface.train.update.Update`.

    Call :meth:`begin` before each update and :meth:`end` after it. In between, every bucket of gradients that is complete
    starts its sum over the processes while the backward pass goes on; calling the object waits for them. Buckets start in
    one order everywhere, whatever the order in which gradients arrive. Nothing waits on the host when gradients are on a
    GPU, and CUDA graphs can capture it.

    Args:
        parameters: Those that get gradients, in the order of the model.
        bucket_bytes: Size of the pieces.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], bucket_bytes: int = BUCKET_BYTES) -> None:
        self._device = parameters[0].device
        self._buckets = [_make_bucket(group) for group in _grouped(parameters, bucket_bytes)]
        self._bucket_of = {id(p): bucket for bucket in self._buckets for p in bucket.parameters}
        self._views = torch.zeros((), device=self._device)
        self._active = False
        self._next = 0
        self._hooks = [p.register_post_accumulate_grad_hook(self._arrived) for p in parameters]

    def begin(self, views: int) -> None:
        """Get ready for an update with a batch of ``views`` views (0: its gradient does not count)."""
        self._views.fill_(float(views))
        self._active = True
        self._reset()

    def _reset(self) -> None:
        self._next = 0
        for bucket in self._buckets:
            bucket.arrived.clear()
            bucket.work = None

    def _arrived(self, parameter: torch.nn.Parameter) -> None:
        if not self._active:  # a backward pass that is no update: fitting in a validation
            return
        bucket = self._bucket_of[id(parameter)]
        if id(parameter) in bucket.arrived:  # a pass before this one broke off, as when a graph could not be recorded
            self._reset()
        bucket.arrived.add(id(parameter))
        while self._next < len(self._buckets) and self._complete(self._buckets[self._next]):
            self._start(self._buckets[self._next])

    def _complete(self, bucket: _Bucket) -> bool:
        return len(bucket.arrived) == len(bucket.parameters)

    def _start(self, bucket: _Bucket) -> None:
        for parameter, view in zip(bucket.parameters, bucket.views):
            if parameter.grad is None:
                view.zero_()
            else:
                torch.mul(parameter.grad, self._views, out=view)
        bucket.work = dist.all_reduce(bucket.flat, async_op=True)
        self._next += 1

    def __call__(self, tensors: Iterable[torch.Tensor]) -> None:
        """Finish the averaging of all gradients, and average the loss values, the last of ``tensors``, in place.

        A process without views has no say, whatever its numbers are.
        """
        values = list(tensors)[-1]
        counted = torch.where(self._views > 0, values * self._views, torch.zeros_like(values))
        sums = torch.cat((counted, self._views[None]))
        dist.all_reduce(sums)
        total = sums[-1].clamp(min=1.0)
        values.copy_(sums[:-1] / total)
        while self._next < len(self._buckets):
            self._start(self._buckets[self._next])
        for bucket in self._buckets:
            if bucket.work is not None:
                bucket.work.wait()
            bucket.flat.div_(total)
            for parameter, view in zip(bucket.parameters, bucket.views):
                if parameter.grad is not None:
                    parameter.grad = view
        self._reset()  # one update may take several passes: those that warm up a graph before it is captured

    def end(self) -> None:
        """Gradients that come now belong to no update."""
        self._active = False

    def close(self) -> None:
        """Leave the parameters alone."""
        for hook in self._hooks:
            hook.remove()


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
    flat = torch.zeros(sum(p.numel() for p in parameters), dtype=first.dtype, device=first.device)
    views, start = [], 0
    for parameter in parameters:
        # With the strides of the parameter (channels last), which the fused optimiser wants of its gradient.
        views.append(torch.as_strided(flat, parameter.shape, parameter.stride(), start))
        start += parameter.numel()
    return _Bucket(parameters, flat, views)
