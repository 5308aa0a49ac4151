"""Storing pictures smaller than they come, in worker processes, while archives stream past."""

from __future__ import annotations

import hashlib
import math
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Literal

import numpy as np

from multiface.core.errors import ArgumentError, CaptureError, FormatError
from multiface.core.files import storage_errors
from multiface.release.errors import WorkersError
from multiface.release.names import Kind
from multiface.release.records import Stored

Store = Literal["png", "jpeg", "avif"]
QUALITY = {"jpeg": 92, "avif": 80}
"""Quality when none is asked for: 42 to 44 dB on a photo and a texture of the release."""
SUFFIX = {"jpeg": ".jpg", "avif": ".avif"}
SHARE = {"png": 1.0, "jpeg": 0.18, "avif": 0.085}
"""About what is left of a picture of the release at those qualities."""
BEST_PSNR = 100.0
"""PSNR that is noted for pictures that came out exactly as they were."""
_LARGEST = 64 << 20


class Transcoder:
    """A pool of processes that stores pictures in another format.

    Photos are stored as they are. Textures keep exactly which texels were not seen (:mod:`multiface.capture.unseen`).

    Args:
        name: ``"jpeg"`` or ``"avif"``.
        quality: 1..100; the format's own of ``QUALITY`` when absent.
        workers: Processes.
    """

    def __init__(self, name: Literal["jpeg", "avif"], quality: int | None, workers: int) -> None:
        quality = QUALITY[name] if quality is None else quality
        if not 1 <= quality <= 100:
            raise ArgumentError("quality cannot be used", where="--quality", expected="1..100", found=quality)
        self._format, self._quality = name, quality
        self.name = f"{name}-{quality}"
        self.ahead = 2 * workers
        # Not forked: threads are running here, and a fork would copy their locks.
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)

    def __enter__(self) -> Transcoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def takes(self, kind: Kind, path: str, size: int) -> bool:
        """Whether a member is a picture to be stored in the new format."""
        return kind in ("images", "textures") and path.endswith(".png") and size <= _LARGEST

    def submit(self, path: Path, kind: Kind) -> Future[Stored | None]:
        """Replace the file ``path`` by the same picture in the new format; ``None`` when it is no picture and stays."""
        try:
            return self._pool.submit(transcode, path, kind, self._format, self._quality)
        except BrokenProcessPool as error:
            raise _workers_ended() from error

    @staticmethod
    def result(future: Future[Stored | None]) -> Stored | None:
        """What :meth:`submit` promised.

        Raises:
            WorkersError: the processes have ended.
        """
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise _workers_ended() from error


def _workers_ended() -> WorkersError:
    return WorkersError(
        "the processes that store pictures in another format have ended",
        remedy="Perhaps memory ran out: run the same command with fewer --workers; it goes on from where it is",
    )


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it, however it ends: nobody would be there to stop this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def check_format(name: str) -> None:
    """Raise an :class:`ArgumentError` when this installation cannot write ``name``."""
    from PIL import features

    if name == "avif" and not features.check("avif"):
        raise ArgumentError(
            "this Pillow cannot write AVIF", where="--store", remedy="Install pillow>=11.3, or use --store jpeg"
        )


def transcode(path: Path, kind: Kind, name: str, quality: int) -> Stored | None:
    """Replace the picture ``path`` by one in the format ``name``. A file that is no whole picture is left alone."""
    from multiface.capture.image import read_image
    from multiface.capture.unseen import encode_image, unseen_to_exif

    try:
        pixels = read_image(path)
    except (FormatError, CaptureError):
        return None
    seen, exif, smooth = np.ones_like(pixels, bool), b"", pixels
    if kind == "textures":
        seen, exif = pixels != 0, unseen_to_exif(pixels)
        smooth = fill_unseen(pixels)
    try:
        data = encode_image(smooth, name, quality, exif=exif)
    except (ValueError, OSError):  # more unseen texels than the format has room to tell of
        return None
    replacement = path.with_name(path.name + ".new")
    with storage_errors(path):
        replacement.write_bytes(data)
        psnr = _psnr(pixels, read_image(replacement), seen)
        replacement.replace(path)
    return Stored(SUFFIX[name], len(data), hashlib.sha256(data).hexdigest()[:32], psnr)


def fill_unseen(pixels: np.ndarray) -> np.ndarray:
    """``pixels`` (H, W, 3) uint8 with smooth colours where they are 0, so that no edge is there to be encoded.

    Unseen texels take the mean of what is seen around them, from the nearest coarser level of a pyramid that has any.
    """
    import cv2

    levels = [(pixels.astype(np.float32), (pixels != 0).astype(np.float32))]
    while max(levels[-1][0].shape[:2]) > 1:
        value, weight = levels[-1]
        size = (-(-value.shape[1] // 2), -(-value.shape[0] // 2))
        below = cv2.resize(weight, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 3)
        mean = cv2.resize(value * weight, size, interpolation=cv2.INTER_AREA).reshape(below.shape) / np.maximum(below, 1e-6)
        levels.append((mean, (below > 0).astype(np.float32)))
    filled = levels.pop()[0]
    while levels:
        value, weight = levels.pop()
        coarse = cv2.resize(filled, (value.shape[1], value.shape[0]), interpolation=cv2.INTER_LINEAR).reshape(value.shape)
        filled = value * weight + coarse * (1 - weight)
    return np.clip(np.rint(filled), 0, 255).astype(np.uint8)


def _psnr(before: np.ndarray, after: np.ndarray, seen: np.ndarray) -> float:
    difference = (before.astype(np.float32) - after)[seen]
    error = float(np.mean(difference * difference)) if difference.size else 0.0
    return BEST_PSNR if error == 0 else min(10 * math.log10(255**2 / error), BEST_PSNR)
