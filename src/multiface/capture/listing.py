"""Folder listings, each read once: what is there is known without asking the file system about every file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from multiface.capture.listing_cache import CachedFolder, load_listing, save_listing
from multiface.core.errors import CaptureError

WORTH_KEEPING = 5_000
"""Names listed anew from which on a listing is written to disk; smaller captures are listed in no time."""

_SETTLED_NS = 3_000_000_000  # coarsest time stamps of a file system in use (FAT: 2 s)


class Folder(NamedTuple):
    """Names in one folder; hidden ones (unfinished writes, ``._`` files of other systems) are left out."""

    files: frozenset[str]
    folders: tuple[str, ...]


_EMPTY = Folder(frozenset(), ())


class Listing:
    """Cached folder contents. Safe for threads: two may list a folder at once, with the same result.

    A listing kept on disk by :meth:`save` is used again for every folder that still is the same folder (device, inode) and
    has the modification time it had: adding, removing or renaming a file changes that of its folder. What is *in* a file
    is not remembered, so changing that needs no notice.

    Args:
        root: Folder of which all others are part; without it nothing is kept on disk.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = None if root is None else os.path.abspath(root)  # noqa: PTH100 - links stay as named
        self._seen: dict[str, Folder] = {}
        self._kept: dict[str, CachedFolder] | None = None
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._same: dict[frozenset[str], frozenset[str]] = {}
        self.n_listed = 0
        """Folders read from the file system by this object; the others came from disk, one look at each."""
        self.n_new_names = 0

    def files(self, folder: Path) -> frozenset[str]:
        """Names of what is not a folder in ``folder`` (broken links too); empty when there is no such folder."""
        return self._list(str(folder)).files

    def folders(self, folder: Path) -> tuple[str, ...]:
        """Sorted names of the folders in ``folder``; empty when there is no such folder."""
        return self._list(str(folder)).folders

    def read_ahead(self, folders: Iterable[Path], threads: int = 16) -> None:
        """List many folders at once; network file systems answer each of them late."""
        wanted = [str(folder) for folder in folders if str(folder) not in self._seen]
        if len(wanted) < 2 * threads:
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="multiface-list") as pool:
            list(pool.map(self._list, wanted, chunksize=8))

    def save(self, beside: Path | None = None) -> Path | None:
        """Keep what was listed, in the user's cache folder, else in ``beside``; nothing when there is little new.

        Returns:
            The file, or None when nothing was written.
        """
        if self._root is None or self.n_new_names < WORTH_KEEPING:
            return None
        now = time.time_ns()
        settled = {
            relative: CachedFolder(self._seen[key].files, self._seen[key].folders, *stamp)
            for key, stamp in self._stamps.items()
            if stamp[0] < now - _SETTLED_NS and (relative := self._relative(key)) is not None
        }
        path = save_listing(self._root, settled, beside)
        if path is not None:
            self.n_new_names = 0
        return path

    def use_folder(self, beside: Path) -> None:
        """Take a listing that an earlier :meth:`save` left in ``beside``, when the user's cache folder has none."""
        if self._root is not None and not self._from_disk():
            self._kept = load_listing(self._root, beside)

    def _list(self, key: str) -> Folder:
        folder = self._seen.get(key)
        if folder is None:
            folder = self._seen[key] = self._known(key) or self._scan(key)
        return folder

    def _known(self, key: str) -> Folder | None:
        relative = self._relative(key)
        kept = None if relative is None else self._from_disk().get(relative)
        if kept is None or _stamp(key) != (kept.modified, kept.device, kept.inode):
            return None
        self._stamps[key] = (kept.modified, kept.device, kept.inode)
        return Folder(kept.files, kept.folders)

    def _scan(self, key: str) -> Folder:
        stamp = _stamp(key)  # before listing: what comes in between is then noticed the next time
        folder = _scan(key)
        self.n_listed += 1
        self.n_new_names += len(folder.files)
        if stamp is not None:
            self._stamps[key] = stamp
        return Folder(self._same.setdefault(folder.files, folder.files), folder.folders)

    def _from_disk(self) -> dict[str, CachedFolder]:
        if self._kept is None:
            self._kept = {} if self._root is None else load_listing(self._root, None)
        return self._kept

    def _relative(self, key: str) -> str | None:
        """``key`` below the root with ``/``; None for anything else."""
        if self._root is None:
            return None
        path = os.path.abspath(key)  # noqa: PTH100 - links stay as named
        if path == self._root:
            return "."
        below = path.startswith(self._root.rstrip(os.sep) + os.sep)
        return path[len(self._root.rstrip(os.sep)) + 1 :].replace(os.sep, "/") if below else None


def _stamp(folder: str) -> tuple[int, int, int] | None:
    try:
        info = os.stat(folder)  # noqa: PTH116 - a million Path objects cost more than the calls
    except OSError:
        return None
    return info.st_mtime_ns, info.st_dev, info.st_ino


def _scan(folder: str) -> Folder:
    try:
        with os.scandir(folder) as entries:
            files, folders = [], []
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else files).append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return _EMPTY
    except OSError as error:
        raise CaptureError(f"folder cannot be listed: {error.strerror}", where=folder) from error
    return Folder(frozenset(files), tuple(sorted(folders)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that goes round in circles; whoever opens it is told
        return False
