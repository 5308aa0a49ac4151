"""Which JPEG of a batch the device decodes and which the threads that read, so that neither waits for the other."""

from __future__ import annotations

_STEP = 1 / 64
"""Small: what is changed shows only when batches that are being read now are handed out."""
_SHORT = 2e-3
"""Seconds that handing out a batch takes when all of it was read before."""


class JpegShare:
    """The device's share, which follows how long whoever fetches batches has to wait for the threads.

    Both decode to the same pixels, so the share changes nothing but the time.

    Attributes:
        value: 0 to 1; all of it is the device's at first.
    """

    def __init__(self) -> None:
        self.value = 1.0

    def is_device_s(self, place: int, places: int) -> bool:
        """Whether the device decodes the picture at ``place`` of so many: it has the first ones, which lie side by side."""
        return place < round(self.value * places)

    def waited(self, seconds: float) -> None:
        """A batch was waited for: as long as that, the threads need help; if hardly, they can take more."""
        step = _STEP if seconds > _SHORT else -_STEP
        self.value = min(1.0, max(0.0, self.value + step))
