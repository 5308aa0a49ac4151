"""Packed captures (docs/packing.md): a manifest, an index, and shards with random access by frame and camera."""

from __future__ import annotations

from pathlib import Path

from multiface.capture.store.codecs import CODECS, LOSSY, QUALITY, check_codec
from multiface.capture.store.manifest import MANIFEST
from multiface.capture.store.store import Store

__all__ = ["CODECS", "LOSSY", "MANIFEST", "QUALITY", "Store", "check_codec", "is_store", "open_store"]


def is_store(path: str | Path) -> bool:
    """Whether this is a finished store on disk."""
    return (Path(path) / MANIFEST).is_file()


def open_store(path: str | Path) -> tuple[Store, str] | None:
    """The store at a path or web address and its name; None for a path that is no store."""
    from multiface.capture.store.remote import open_remote, web_address

    address = web_address(path)
    if address is not None:
        return open_remote(address)
    return (Store(Path(path)), "") if is_store(path) else None
