"""Listings on disk: one checksummed JSON file for each capture, in the user's cache folder.

The file is worth nothing by itself: whatever is wrong with it, it is ignored and written anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from multiface.core.errors import StorageError
from multiface.core.files import user_cache_folder, write_bytes

VERSION = 1
_KIND = "multiface listing"
_LARGEST = 1 << 30


class CachedFolder(NamedTuple):
    """Names in a folder, and what the folder's own entry said when they were read."""

    files: frozenset[str]
    folders: tuple[str, ...]
    modified: int
    device: int
    inode: int


def save_listing(root: str, folders: dict[str, CachedFolder], beside: Path | None) -> Path | None:
    """Write ``folders`` (paths below ``root`` with ``/``) to the first place that allows it; None when none does.

    Folders of the same names, as those of the cameras of a segment are, share one list in the file.
    """
    lists: dict[frozenset[str], int] = {}
    rows = {
        path: [lists.setdefault(folder.files, len(lists)), list(folder.folders), folder.modified, folder.device, folder.inode]
        for path, folder in sorted(folders.items())
    }
    content = {"kind": _KIND, "version": VERSION, "root": root, "lists": [sorted(names) for names in lists], "folders": rows}
    body = json.dumps(content, separators=(",", ":")).encode()
    data = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    for path in _places(root, beside):
        try:
            write_bytes(path, data)
        except (StorageError, OSError):
            continue  # a listing that cannot be kept is made again the next time
        return path
    return None


def load_listing(root: str, beside: Path | None) -> dict[str, CachedFolder]:
    """What :func:`save_listing` wrote for ``root``; empty when there is nothing, or nothing that can be trusted."""
    for path in _places(root, beside):
        try:
            if path.stat().st_size > _LARGEST:
                continue
            data = path.read_bytes()
        except OSError:
            continue
        folders = _parse(data, root)
        if folders is not None:
            return folders
    return {}


def _places(root: str, beside: Path | None) -> list[Path]:
    name = f"listing-{hashlib.sha256(os.fsencode(root)).hexdigest()[:24]}.json"
    there = [folder / "listings" / name for folder in (user_cache_folder(),) if folder is not None]
    return there + ([beside / name] if beside is not None and beside.is_dir() else [])


def _parse(data: bytes, root: str) -> dict[str, CachedFolder] | None:
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or [content.get(k) for k in ("kind", "version", "root")] != [_KIND, VERSION, root]:
        return None
    try:
        lists = [frozenset(_plain_names(names)) for names in content["lists"]]
        return {
            path: CachedFolder(lists[number], tuple(_plain_names(below)), int(modified), int(device), int(inode))
            for path, (number, below, modified, device, inode) in content["folders"].items()
        }
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None


def _plain_names(names: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("names are text")
    if any("/" in name or "\0" in name or name in ("", ".", "..") for name in names):
        raise ValueError("a name leads elsewhere")
    return names
