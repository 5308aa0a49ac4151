"""A store that lists its few frames again and again under other names: long epochs from little on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from multiface.capture import Capture, FrameKey, write_frame_list
from multiface.capture.store.index import StoreIndex
from multiface.capture.store.manifest import INDEX, digest_file, read_manifest
from multiface.core.files import write_bytes


def list_again(store: Path, keys: Sequence[FrameKey]) -> None:
    """Make these the frames of ``store``; each is one of those that were packed, in turn."""
    manifest, packed = read_manifest(store), Capture(store).frames
    index = StoreIndex.from_bytes((store / INDEX).read_bytes(), [shard.bytes for shard in manifest.shards], "index")
    rows: dict[FrameKey, list[int]] = {}
    for row in range(len(index.rows)):
        rows.setdefault(index.name(row).key, []).append(row)
    entries = [
        (index.name(row)._replace(key=key), index.entry(row))
        for number, key in enumerate(keys)
        for row in rows[packed[number % len(packed)]]
    ]
    write_bytes(store / INDEX, StoreIndex.build(entries).to_bytes())
    write_frame_list(store / "frame_list.txt", list(keys))
    files = tuple(digest_file(store / file.file, file.file) for file in manifest.files)
    replace(manifest, index=digest_file(store / INDEX, INDEX), files=files).write(store)
