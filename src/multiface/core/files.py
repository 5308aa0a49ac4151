"""Files that are whole or absent: written under a temporary name, flushed, then renamed."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multiface.core.errors import StorageError


@contextmanager
def storage_errors(where: str | Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into a :class:`StorageError` that names ``where``."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError("no space left on the disk", where=where, remedy="Free some space and run it again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                "cannot be written: permission denied", where=where, remedy="Choose a folder that you may write to"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise StorageError(
                f"cannot be written: {error.strerror}",
                where=where,
                remedy="Choose another path, or move away what is there",
            ) from error
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; when the block ends well the file there becomes ``path``, else it is removed.

    The temporary name keeps the suffix of ``path`` since some writers choose the format by it.
    """
    path = Path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _flush(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8 with ``\\n`` line ends to ``path`` atomically."""
    write_bytes(path, text.encode("utf-8"))


def make_folder(path: str | Path) -> Path:
    """Create ``path`` with its parents and prove that files can be written there.

    Raises:
        StorageError: the folder cannot be created or written to.
    """
    path = Path(path)
    with storage_errors(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # file systems that are no real ones: nothing can be made there
            raise StorageError(
                "cannot be made: there can be no folder here", where=path, remedy="Choose another path"
            ) from error
        handle, name = tempfile.mkstemp(prefix=".write-test.", dir=path)
        os.close(handle)
        Path(name).unlink()
    return path


def user_cache_folder() -> Path | None:
    """Where what can be made again is kept: ``MULTIFACE_CACHE``, else ``multiface`` in the system's cache folder.

    None when that is not known (no home folder). Nothing is created.
    """
    own = os.environ.get("MULTIFACE_CACHE")
    if own:
        return Path(own)
    usual = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    try:
        return Path(usual or Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")) / "multiface"
    except RuntimeError:
        return None


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
