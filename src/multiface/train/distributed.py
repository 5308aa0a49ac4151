"""A job of several processes: how they meet, agree, and end together."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from multiface.core.errors import ArgumentError, DependencyError, MultifaceError
from multiface.train.launch import Launch
from multiface.train.watch import NoWatch, Watch

T = TypeVar("T")
LAST_WORDS = 1.0
"""Seconds that the first process has to say why all end, before the others do."""
TIMEOUT = 600.0
"""Seconds after which a process that does not come, or makes no progress, ends the job."""


class Group:
    """The processes of a job, as one of them sees it; this class is a job of one, for which everything is trivial.

    Attributes:
        rank, world_size: Which of how many.
        launch: What the launcher said.
        watch: Notices processes that stand still or have failed.
    """

    def __init__(self, launch: Launch | None = None) -> None:
        self.launch = launch or Launch()
        self.rank, self.world_size = self.launch.rank, self.launch.world_size
        self.watch = NoWatch()

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes for the job."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """The plain values of all processes, by rank, on every process."""
        return [value]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on some process."""
        return flag

    def share_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give all processes the values that the tensors have on the first."""

    def together(self, action: Callable[[], T]) -> T:
        """Do something on every process that may fail for a reason the user can act on.

        Raises:
            MultifaceError: on the first process, when it failed somewhere: the failure of the lowest rank.
            SystemExit: on the others, silently, with the same status.
        """
        return action()

    def first(self, action: Callable[[], T]) -> T:
        """Do something on the first process only, and give its plain value to all; failures as in :meth:`together`."""
        return action()

    def close(self) -> None:
        """Leave the job."""


class ProcessGroup(Group):
    """A job of several processes; made by :func:`join`."""

    def __init__(self, launch: Launch, store: dist.Store, watch: Watch) -> None:
        super().__init__(launch)
        self._store = store
        self.watch: Watch = watch
        self.ends_together = False

    def gather(self, value: T) -> list[T]:
        gathered: list[Any] = [None] * self.world_size
        dist.all_gather_object(gathered, value)
        return gathered

    def any(self, flag: bool) -> bool:
        tensor = torch.tensor(int(flag))
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return bool(tensor)

    def share_first(self, tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            dense = tensor.detach().contiguous()
            dist.broadcast(dense, 0)
            tensor.detach().copy_(dense)

    def together(self, action: Callable[[], T]) -> T:
        value, error = _attempt(action)
        self._raise_together(self.gather(error))
        return value  # type: ignore[return-value]  # no error, so there is a value

    def first(self, action: Callable[[], T]) -> T:
        value, error = _attempt(action) if self.is_first else (None, None)
        outcomes = self.gather((value, error))
        self._raise_together([error for _, error in outcomes])
        return outcomes[0][0]  # type: ignore[return-value]

    def _raise_together(self, errors: list[MultifaceError | None]) -> None:
        failed = [(rank, error) for rank, error in enumerate(errors) if error is not None]
        if not failed:
            return
        rank, error = failed[0]
        self.ends_together = True
        self.watch.told(str(error))
        if not self.is_first:
            raise SystemExit(error.exit_status)
        if len(failed) < self.world_size and rank > 0:
            error.what = f"on process {rank} of {self.world_size}: {error.what}"
            error.args = (error._message(),)
        raise error

    def close(self) -> None:
        self.watch.stop()
        dist.destroy_process_group()


ALONE = Group()


def _attempt(action: Callable[[], T]) -> tuple[T | None, MultifaceError | None]:
    try:
        return action(), None
    except MultifaceError as error:
        return None, error


@contextmanager
def job(launch: Launch, device: torch.device, timeout: float = TIMEOUT) -> Iterator[Group]:
    """Meet the other processes of the job and be one of them inside the block.

    When the block fails on some process, that is noted where all processes look, so that the first failure is the one that
    is told, once; the others end silently.

    Args:
        launch: Who this process is.
        device: Where it computes: NCCL on GPUs, Gloo on CPUs.
        timeout: Seconds after which a process that does not come, or makes no progress, ends the job.

    Raises:
        ArgumentError: the processes do not find each other, or share a GPU.
        DependencyError: this PyTorch has no NCCL.
    """
    if launch.world_size == 1:
        yield Group(launch)
        return
    group = join(launch, device, timeout)
    try:
        yield group
    except BaseException as error:
        if group.ends_together:
            group.close()
            if not group.is_first:
                time.sleep(LAST_WORDS)  # launchers end all processes when one has ended: let the first one speak before
        else:
            group.watch.abandon()
            group.watch.failed(error)  # raises SystemExit instead when another failed first
        raise
    group.close()


def join(launch: Launch, device: torch.device, timeout: float = TIMEOUT) -> ProcessGroup:
    """Meet the other processes; see :func:`job`."""
    _check_backend(device)
    store = meet(launch, timeout)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        # Processes may record their graphs after different updates; registering buffers then would wait for the others.
        os.environ.setdefault("NCCL_GRAPH_REGISTER", "0")
        # Sums are short and others wait for them: they begin as soon as there is room, beside what still computes.
        os.environ.setdefault("TORCH_NCCL_HIGH_PRIORITY", "1")
    dist.init_process_group(
        backend,
        store=dist.PrefixStore("group", store),
        rank=launch.rank,
        world_size=launch.world_size,
        timeout=timedelta(seconds=1.5 * timeout + 30),  # the watch, which knows more, speaks first
    )
    # A connection of its own: the watch must get through while another thread waits for the store.
    watch = Watch(launch, dist.PrefixStore("watch", _connect(launch, timeout, is_master=False)), timeout)
    group = ProcessGroup(launch, store, watch)
    watch.start()
    if device.type == "cuda":
        group.together(lambda: _check_devices(group, device))
    return group


def meet(launch: Launch, timeout: float = TIMEOUT) -> dist.Store:
    """Wait for the other processes, and share a store with them; they need not be a :class:`Group`.

    Raises:
        ArgumentError: on the first process: they do not find each other.
        SystemExit: on the others.
    """
    store = _open_store(launch, timeout)
    _check_in(launch, store, timeout)
    return store


def _check_backend(device: torch.device) -> None:
    if not dist.is_available() or (device.type == "cuda" and not dist.is_nccl_available()):
        raise DependencyError(
            "this PyTorch cannot train on several GPUs: it has no NCCL",
            found=f"PyTorch {torch.__version__}",
            remedy="Install a PyTorch for CUDA on Linux, or train on CPUs: --device cpu",
        )


def _connect(launch: Launch, timeout: float, *, is_master: bool) -> dist.Store:
    store = dist.TCPStore(
        launch.address,
        launch.port,
        is_master=is_master,
        timeout=timedelta(seconds=timeout),
        wait_for_workers=False,
    )
    # The launcher's store outlives the processes: each attempt begins in a place of its own.
    return dist.PrefixStore(f"multiface/{launch.attempt}", store)


def _open_store(launch: Launch, timeout: float) -> dist.Store:
    try:
        return _connect(launch, timeout, is_master=launch.rank == 0 and not launch.agent_store)
    except (dist.DistError, RuntimeError, ValueError) as error:  # DistError is a RuntimeError from PyTorch 2.4 on
        raise ArgumentError(
            "the processes of the job cannot meet",
            where=f"{launch.address} port {launch.port}",
            found=str(error).split("\n")[0][:200],
            remedy="Check MASTER_ADDR and MASTER_PORT: rank 0 must run there and the port be free and reachable",
        ) from error


def _check_in(launch: Launch, store: dist.Store, timeout: float) -> None:
    """Wait until every rank is there, once."""
    if store.add(f"rank {launch.rank}", 1) > 1:
        raise ArgumentError(
            f"two processes are rank {launch.rank}",
            expected=f"ranks 0 to {launch.world_size - 1}, each once",
            remedy="Give every process a RANK of its own: torchrun and srun do that by themselves",
        )
    here = store.add("here", 1)
    deadline = time.monotonic() + timeout
    try:
        while (here := store.add("here", 0)) < launch.world_size and time.monotonic() < deadline:
            if launch.rank > 0 and store.add("given up", 0):
                break
            time.sleep(0.05)
        if here < launch.world_size:
            _leave_together(launch, store)
    except (dist.DistError, RuntimeError):
        if launch.rank == 0:
            raise
        raise SystemExit(ArgumentError.exit_status) from None  # the first process had the store, and has ended
    if here < launch.world_size:
        if launch.rank > 0:
            raise SystemExit(ArgumentError.exit_status)  # the first process says it
        raise ArgumentError(
            "not all processes of the job came",
            expected=f"{launch.world_size} processes",
            found=f"{here} after {timeout:.0f} s",
            remedy="Start as many as WORLD_SIZE says (torchrun: --nnodes and --nproc_per_node, on every machine)",
        )


def _leave_together(launch: Launch, store: dist.Store) -> None:
    """The first process may keep the store: those that came leave before it, lest each complains that it is gone."""
    if launch.rank > 0:
        store.add("left", 1)
        return
    store.add("given up", 1)
    deadline = time.monotonic() + LAST_WORDS
    while store.add("left", 0) < store.add("here", 0) - 1 and time.monotonic() < deadline:
        time.sleep(0.05)


def _check_devices(group: Group, device: torch.device) -> None:
    identity = getattr(torch.cuda.get_device_properties(device), "uuid", device.index)
    mine = (socket.gethostname(), str(identity))
    owners: dict[tuple[str, str], int] = {}
    for rank, theirs in enumerate(group.gather(mine)):
        if owners.setdefault(theirs, rank) != rank:
            raise ArgumentError(
                f"processes {owners[theirs]} and {rank} would use the same GPU",
                found=f"{theirs[0]}: GPU {theirs[1]}",
                remedy="Start at most as many processes on a machine as it has GPUs (--nproc_per_node)",
            )
