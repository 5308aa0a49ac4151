"""Folder listings, each read once: what is there is known without asking the file system about every file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from multiface.core.errors import CaptureError


class Folder(NamedTuple):
    """Names in one folder; hidden ones (unfinished writes, ``._`` files of other systems) are left out."""

    files: frozenset[str]
    folders: tuple[str, ...]


_EMPTY = Folder(frozenset(), ())


class Listing:
    """Cached folder contents. Safe for threads: two may list a folder at once, with the same result."""

    def __init__(self) -> None:
        self._seen: dict[str, Folder] = {}

    def files(self, folder: Path) -> frozenset[str]:
        """Names of what is not a folder in ``folder`` (broken links too); empty when there is no such folder."""
        return self._list(folder).files

    def folders(self, folder: Path) -> tuple[str, ...]:
        """Sorted names of the folders in ``folder``; empty when there is no such folder."""
        return self._list(folder).folders

    def _list(self, folder: Path) -> Folder:
        key = str(folder)
        if key not in self._seen:
            self._seen[key] = _scan(key)
        return self._seen[key]


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
