"""A video encoder in a thread of its own, so that the next frames are computed while the last ones are encoded."""

from __future__ import annotations

import queue
import threading
from types import TracebackType

import numpy as np

from multiface.show.video import VideoWriter

WAITING = 4
"""Sheets that may wait for the encoder; more would only use memory."""


class EncodingThread:
    """Feeds a :class:`VideoWriter` from a thread; use it as a context manager.

    Pictures come with the number of the video frame from which on they are shown. A picture stays until the next one's
    number, so dropped frames are held; the first one also covers whatever came before it.

    Errors of the encoder come out of :meth:`add` or at the end of the block. When the block ends with an error, no file is
    left behind.

    Attributes:
        frames: Video frames written, once the block has ended.
    """

    def __init__(self, writer: VideoWriter) -> None:
        self._writer = writer
        self._queue: queue.Queue[tuple[np.ndarray, int] | None] = queue.Queue(WAITING)
        self._error: BaseException | None = None
        self._abort = self._ended = False
        self._last: tuple[np.ndarray, int] | None = None
        self._thread = threading.Thread(target=self._work, name="multiface-encoder", daemon=True)

    @property
    def frames(self) -> int:
        return self._writer.frames

    def __enter__(self) -> EncodingThread:
        self._thread.start()
        return self

    def add(self, sheet: np.ndarray, tick: int) -> None:
        """Show ``sheet`` (as :meth:`VideoWriter.add` takes it) from video frame ``tick`` on; ticks have to grow."""
        if self._error is not None:
            raise self._error
        if self._last is None:
            self._last = (sheet, 0)
            return
        last, since = self._last
        if tick > since:
            self._queue.put((last, tick - since))
            self._last = (sheet, tick)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is not None:
            self._abort = True
        elif self._last is not None:
            self._queue.put((self._last[0], 1))
        self._last = None
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            with self._writer:
                self._write_all()
        except _AbortedError:
            return
        except BaseException as error:  # noqa: BLE001  (handed over to the thread that asked for the video)
            self._error = error
        while not self._ended:  # whoever waits to put something has to get on to see the error
            self._ended = self._queue.get() is None

    def _write_all(self) -> None:
        while (item := self._queue.get()) is not None:
            if not self._abort:
                self._writer.add(*item)
        self._ended = True
        if self._abort:
            raise _AbortedError


class _AbortedError(Exception):
    """The block that fed the encoder failed; nothing is to be kept."""
