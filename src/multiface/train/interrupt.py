"""Stopping between two updates instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

SAME_SECONDS = 2.0


class StopRequest:
    """While active, the first Ctrl-C or SIGTERM only sets :attr:`requested`; a second Ctrl-C interrupts at once.

    A launcher passes on the signals that its processes have already got from the terminal: what follows within
    :data:`SAME_SECONDS` is the same request, and so is any further SIGTERM.

    Outside the main thread, where Python allows no signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and number == signal.SIGINT and now - self._first > SAME_SECONDS:
            raise KeyboardInterrupt
        if not self.requested:
            self._first = now
        self.requested = True
