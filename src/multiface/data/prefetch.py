"""Batches on the device before they are needed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from multiface.core.errors import MultifaceError
from multiface.data.batch import Batch
from multiface.data.batch_reader import ReadBatch
from multiface.data.block import BlockBatch
from multiface.data.buffers import BatchBuffers, BufferRing
from multiface.data.device_jpeg import can_decode_jpeg
from multiface.data.loader import BatchLoader, Share
from multiface.data.png_rows import can_undo_filters

_READY = 2
"""Batches that wait on the device beside the one that is being handed over; each is up to a quarter of a gigabyte."""


@dataclass
class _Arrived:
    """A share on the device, and what the device has to have done before it may be used."""

    share: Share
    copied: torch.cuda.Event | None


class DevicePrefetcher:
    """The batches of a loader, on a device: the next ones are read and copied while the current one is being used.

    On a CUDA device batches are decoded into a few page-locked buffers, a thread of its own copies each in one piece on a
    stream of its own, and the buffer is used again; PNG is only decompressed before, the rest is done on the device after
    the copy, which also decodes JPEG if it has decoders. Elsewhere it is the loader itself.

    Args:
        loader: The batches. Its epoch and start are chosen there.
        device: Where to.
        background: Whether to use the buffers and the thread; on CUDA devices when absent.

    Attributes:
        waited_s: Seconds that whoever iterates has waited for batches so far.
    """

    def __init__(self, loader: BatchLoader, device: torch.device | str, *, background: bool | None = None) -> None:
        self.loader = loader
        self.device = torch.device(device)
        self.waited_s = 0.0
        self._background = self.device.type == "cuda" if background is None else background
        self._ring: BufferRing | None = None
        self._stream: torch.cuda.Stream | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        with closing(self.shares()) as shares:
            yield from (share.batch for share in shares if share.batch is not None)

    def shares(self) -> Generator[Share, None, None]:
        """As :meth:`BatchLoader.shares`, with batches on the device.

        Raises:
            MultifaceError: what the loader raises, or that the thread that reads has died.
        """
        with closing(self._in_background() if self._background else self._here()) as shares:
            began = time.perf_counter()
            for share in shares:
                self.waited_s += time.perf_counter() - began
                yield share
                began = time.perf_counter()

    @property
    def is_settled(self) -> bool:
        """Whether the processes that read, if there are some, have started; who measures wants to know."""
        return self._ring is not None and (self._ring.pool is None or self._ring.pool.has_started)

    def close(self) -> None:
        """End the processes that read, if there are some. Asked for batches again, it starts others."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _here(self) -> Generator[Share, None, None]:
        with closing(self.loader.shares()) as shares:
            for share in shares:
                yield share if share.batch is None else share._replace(batch=share.batch.to(self.device))

    def _in_background(self) -> Generator[Share, None, None]:
        arrived: queue.Queue[_Arrived | BaseException | None] = queue.Queue(_READY)
        stop = threading.Event()
        if self._ring is None:
            store = self.loader.capture.store
            png = (store is None or store.uses("png")) and can_undo_filters(self.device)
            jpeg = store is not None and store.uses("jpeg") and can_decode_jpeg(self.device)
            self._ring = self.loader.ring(self.device.type == "cuda", png, jpeg)
            self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        thread = threading.Thread(
            target=self._produce, args=(arrived, stop, self._ring), name="multiface-prefetch", daemon=True
        )
        thread.start()
        try:
            while (item := _next(arrived, thread)) is not None:
                if isinstance(item, BaseException):
                    raise item
                if item.copied is not None and item.share.batch is not None:
                    _use_here(item.share.batch, item.copied)
                yield item.share
        finally:
            stop.set()
            thread.join()

    def _produce(self, arrived: queue.Queue, stop: threading.Event, ring: BufferRing) -> None:
        last: BaseException | None = None
        copying = _Copying(ring)
        try:
            with closing(self.loader.read(ring)) as batches:
                for share, read in batches:
                    try:
                        item = self._moved(share, read)
                    except BaseException:
                        copying.add(read.buffers, None)
                        raise
                    copying.add(read.buffers, item.copied)
                    if not _put(arrived, item, stop):
                        break
        except BaseException as error:  # noqa: BLE001 - raised again where the batches are used
            last = error
        copying.finish()
        _put(arrived, last, stop)

    def _moved(self, share: Share, read: ReadBatch) -> _Arrived:
        if read.buffers is None or not read.samples:
            return _Arrived(share, None)
        names = tuple(read.keys), tuple(sample.camera for sample in read.samples)
        if self._stream is None:
            return _Arrived(share._replace(batch=read.buffers.batch_on(self.device, *names)), None)
        with torch.cuda.stream(self._stream):
            batch = read.buffers.batch_on(self.device, *names)
            copied = torch.cuda.Event()
            copied.record()
        return _Arrived(share._replace(batch=batch), copied)


class _Copying:
    """Buffers whose content is on the way to the device: one batch's at most, while the next one's is read and sent off."""

    def __init__(self, ring: BufferRing) -> None:
        self._ring = ring
        self._last: tuple[BatchBuffers, torch.cuda.Event] | None = None

    def add(self, buffers: BatchBuffers | None, copied: torch.cuda.Event | None) -> None:
        """``buffers`` are free after ``copied``, or already; those of the batch before are given back now."""
        self.finish()
        if buffers is None:
            return
        if copied is None:
            self._ring.give(buffers)
        else:
            self._last = buffers, copied

    def finish(self) -> None:
        """Wait for what is on the way, here where only this thread waits, and give its buffers back."""
        if self._last is not None:
            buffers, copied = self._last
            self._last = None
            copied.synchronize()
            self._ring.give(buffers)


def _put(arrived: queue.Queue, item: Any, stop: threading.Event) -> bool:
    """Hand over, unless nobody wants it any longer."""
    while not stop.is_set():
        try:
            arrived.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def _next(arrived: queue.Queue, thread: threading.Thread) -> Any:
    while True:
        try:
            return arrived.get(timeout=1.0)
        except queue.Empty:
            if not thread.is_alive() and arrived.empty():
                raise MultifaceError(
                    "the thread that reads batches has died without a word", remedy="Run it again; look at the system's log"
                ) from None


def _use_here(batch: Batch, copied: torch.cuda.Event) -> None:
    """Make the current stream wait for the copy, and keep the memory until that stream is done with it."""
    stream = torch.cuda.current_stream(batch.device)
    stream.wait_event(copied)
    block = batch.block if isinstance(batch, BlockBatch) else None
    (batch.view if block is None else block).record_stream(stream)  # all tensors lie in one block
