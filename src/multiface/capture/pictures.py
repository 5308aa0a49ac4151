"""The photos and textures of a capture: files of any picture format, or entries of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from multiface.capture.image import IMAGE_SUFFIXES, image_size, read_image
from multiface.capture.layout import CaptureLayout
from multiface.capture.listing import Listing
from multiface.capture.names import FrameKey
from multiface.capture.store import Store
from multiface.capture.store.index import Name
from multiface.capture.store.store import StoreListing
from multiface.capture.unfinished import Unfinished
from multiface.core.errors import CaptureError, FormatError


class Pictures:
    """Reads pictures. Can be used by several threads.

    Args:
        layout: Where picture files would be.
        listing: What is there.
        store: The store that has the pictures; None where they are files.
    """

    def __init__(self, layout: CaptureLayout, listing: Listing | StoreListing, store: Store | None) -> None:
        self._layout = layout
        self._listing = listing
        self._store = store

    def photo(self, key: FrameKey, camera: str, out: np.ndarray | None, unfinished: Unfinished | None = None) -> np.ndarray:
        """See :meth:`multiface.capture.Capture.photo`."""
        return self._read(Name("photo", key, camera), self._layout.photo, out, unfinished)

    def texture(self, key: FrameKey, camera: str, out: np.ndarray | None, unfinished: Unfinished | None = None) -> np.ndarray:
        """See :meth:`multiface.capture.Capture.texture`.

        Raises:
            FormatError: it is damaged, or not as large as its folder says.
        """
        pixels = self._read(Name("texture", key, camera), self._layout.texture, out, unfinished)
        size = self._layout.texture_size
        if pixels.shape[:2] != (size, size):
            raise FormatError(
                "texture has the wrong size",
                where=self.path(self._layout.texture(key, camera)),
                expected=f"{size} x {size}, as its folder says",
                found=f"{pixels.shape[1]} x {pixels.shape[0]}",
                remedy=f"Unwrap again with: multiface unwrap {self._layout.root}",
            )
        return pixels

    def _read(
        self, name: Name, path: Callable[[FrameKey, str], Path], out: np.ndarray | None, unfinished: Unfinished | None
    ) -> np.ndarray:
        if unfinished is not None:
            unfinished.clear()
        if self._store is not None:
            return self._store.picture(name, out, unfinished)
        return read_image(self.path(path(name.key, name.camera)), out, None if unfinished is None else unfinished.filters)

    def path(self, path: Path) -> Path:
        """``path`` as the layout gives it, or the picture of the same name in another format when only that is there."""
        if path.is_file():
            return path
        names = self._listing.files(path.parent)
        return next((path.with_name(path.stem + s) for s in IMAGE_SUFFIXES if path.stem + s in names), path)

    def photo_size(self, camera: str) -> tuple[int, int] | None:
        """(height, width) of one photo of a camera; None when it has none that can be read."""
        if self._store is not None:
            return self._store.manifest.camera_sizes.get(camera)
        photos = self._layout.photos
        for segment in self._listing.folders(photos):
            folder = photos / segment / camera
            pictures = [name for name in self._listing.files(folder) if name.endswith(IMAGE_SUFFIXES)]
            try:
                if pictures:
                    return image_size(folder / min(pictures))
            except (FormatError, CaptureError):
                continue  # one broken photo does not hide the others; inspecting the capture names it
        return None
