"""One process at a time: a lock on a folder that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multiface.core.errors import StorageError
from multiface.core.files import storage_errors


@contextmanager
def folder_lock(folder: Path, doing: str) -> Iterator[None]:
    """Hold ``folder`` while the block runs; the system lets go of it when the process ends.

    Args:
        folder: An existing folder; a small file ``.lock`` is left in it.
        doing: What a second process is told, for example ``"packing into"``.

    Raises:
        StorageError: another process holds it.
    """
    path = folder / ".lock"
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _take(descriptor):
            raise StorageError(
                f"another run is {doing} this folder", where=folder, remedy="Wait until it has ended, or choose another folder"
            )
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks cannot tell; refusing would make it useless there
        return True
    return True
