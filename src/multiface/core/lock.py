"""One process at a time: a lock on a folder that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multiface.core.errors import StorageError
from multiface.core.files import storage_errors


def take_lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed, or until this process ends, however it ends.

    Returns:
        Whether it is ours now; None where the system or the file system has no such locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def folder_lock(folder: Path, doing: str, shown: Path | None = None) -> Iterator[None]:
    """Hold ``folder`` while the block runs; the system lets go of it when the process ends.

    Where the file system has no locks nothing is refused: that would make it useless there.

    Args:
        folder: An existing folder; a small file ``.lock`` is left in it.
        doing: What a second process is told, for example ``"packing into"``.
        shown: The folder that the message names; ``folder`` when absent.

    Raises:
        StorageError: another process holds it.
    """
    path = folder / ".lock"
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not (_take_on_windows(descriptor) if os.name == "nt" else take_lock(descriptor) is not False):
            raise StorageError(
                f"another run is {doing} this folder",
                where=shown or folder,
                remedy="Wait until it has ended, or choose another folder",
            )
        yield
    finally:
        os.close(descriptor)


def _take_on_windows(descriptor: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True
