"""How far a picture has been decoded, where a device can do the rest faster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Unfinished:
    """What a reader may leave undone of a picture of H rows, and says here when it does.

    Attributes:
        filters: (H,) uint8, or None where rows of PNG may not be left: the filter of each row, 0 where it is pixels, see
            :func:`multiface.capture.read_image`.
        jpeg: (2,) int64 N and M, or None where JPEG may not be left. N > 0: the picture's array does not hold pixels but in
            its first N bytes a JPEG (as :func:`multiface.capture.store.jpeg_header.plain_jpeg_size` takes it). If then M > 0,
            its last M = ceil(3 H W / 8) bytes say which bytes of the picture are not zero, a bit each, the highest of a byte
            first: the others are zero, whatever the JPEG says, and these are not.
    """

    filters: np.ndarray | None
    jpeg: np.ndarray | None

    def clear(self) -> None:
        """The picture is pixels."""
        for note in (self.filters, self.jpeg):
            if note is not None:
                note[:] = 0
