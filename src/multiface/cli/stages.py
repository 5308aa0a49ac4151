"""How long the parts of a command took."""

from __future__ import annotations

import time


class Stages:
    """Times one part of a command after the other; the first one begins now.

    Attributes:
        seconds: Name of each part that is over -> its seconds.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    def over(self, name: str) -> None:
        """The part that began with the end of the one before is over."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self._began, 3)
        self._began = now
