"""Who reads the pictures of batches: threads of this process, or processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from multiface.capture import FrameKey
from multiface.data.buffers import BatchBuffers
from multiface.data.index import Sample, Skipped

Failure = tuple[FrameKey | Sample, Skipped]
"""A frame or view that cannot be read, and why."""


class Reading(Protocol):
    """A batch that is being read."""

    def failures(self) -> list[Failure]:
        """Wait until it is there: what of it cannot be read, frames first; the buffers hold all else. To be asked once."""
        ...

    def abandon(self) -> None:
        """Nobody wants it any longer: wait until nothing is written to its buffers."""
        ...


class Readers(Protocol):
    """They read several batches at a time; called by one thread."""

    def begin(self, samples: Sequence[Sample], keys: Sequence[FrameKey], buffers: BatchBuffers) -> Reading:
        """Begin to read the views ``samples`` of the frames ``keys`` into ``buffers``."""
        ...
