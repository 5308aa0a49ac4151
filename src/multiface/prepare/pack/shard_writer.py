"""Writing shards: each is whole under its name, with a note of its entries, or not there."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiface.capture import FrameKey
from multiface.capture.store.index import Entry, Name
from multiface.capture.store.manifest import SHARD_MAGIC, SHARDS, StoredFile, digest_file
from multiface.core.files import storage_errors, write_text
from multiface.prepare.capture import LeftOut
from multiface.prepare.pack.items import ItemResult


@dataclass
class ShardNote:
    """What is in one finished shard, kept beside it until the store is finished.

    Attributes:
        file: The shard.
        frames: Frames that are done with it.
        entries: Its entries.
        skipped: Files of these frames that could not be packed.
        psnr: Kind -> PSNR of each entry that a lossy codec changed.
    """

    file: StoredFile
    frames: list[FrameKey] = field(default_factory=list)
    entries: list[tuple[Name, Entry]] = field(default_factory=list)
    skipped: list[LeftOut] = field(default_factory=list)
    psnr: dict[str, list[float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "file": self.file._asdict(),
            "frames": self.frames,
            "entries": [[name.kind, *name.key, name.camera, *entry] for name, entry in self.entries],
            "skipped": self.skipped,
            "psnr": self.psnr,
        }

    @classmethod
    def from_json(cls, content: Any) -> ShardNote:
        """The inverse; raises what a wrong type raises."""
        entries = [
            (Name(kind, FrameKey(segment, frame), camera), Entry(*entry))
            for kind, segment, frame, camera, *entry in content["entries"]
        ]
        frames, skipped = [FrameKey(*key) for key in content["frames"]], [LeftOut(*pair) for pair in content["skipped"]]
        return cls(StoredFile(**content["file"]), frames, entries, skipped, dict(content["psnr"]))


class ShardWriter:
    """Appends items, frame by frame, to shard after shard.

    Args:
        root: The store.
        shard_bytes: A shard ends with the first frame that makes it this large.
        first: Number of the first shard.
    """

    def __init__(self, root: Path, shard_bytes: int, first: int) -> None:
        self._root = root
        self._shard_bytes = shard_bytes
        self._number = first
        self._shard: _Unfinished | None = None
        self.notes: list[ShardNote] = []
        """Of the shards finished so far."""

    def add(self, result: ItemResult) -> None:
        """Append an item; one of another frame than the last ends that frame.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        with storage_errors(self._root):
            if self._shard is not None and self._shard.end_frame_before(result.item.key) >= self._shard_bytes:
                self._end_shard(self._shard)
            if self._shard is None:
                self._shard = _Unfinished(self._root, self._number)
            self._shard.add(result)

    def finish(self) -> None:
        """End the last frame and its shard."""
        if self._shard is not None:
            with storage_errors(self._root):
                self._shard.end_frame_before(None)
                self._end_shard(self._shard)

    def keep(self) -> None:
        """End the shard with the last whole frame, when the work is interrupted."""
        shard, self._shard = self._shard, None
        if shard is None:
            return
        if shard.note.frames:
            with storage_errors(self._root):
                shard.forget_frame()
                self._end_shard(shard)
        else:
            shard.remove()

    def discard(self) -> None:
        """Leave nothing of the shard that is not finished."""
        if self._shard is not None:
            self._shard.remove()
            self._shard = None

    def _end_shard(self, shard: _Unfinished) -> None:
        self._shard = None
        note = shard.end()
        write_text(note_path(self._root, self._number), json.dumps(note.to_json()))
        self.notes.append(note)
        self._number += 1


class _Unfinished:
    """A shard under a temporary name."""

    def __init__(self, root: Path, number: int) -> None:
        self._number = number
        self._root = root
        self._name = f"{SHARDS}/{number:05d}.mfs"
        self._temporary = root / SHARDS / f".{number:05d}.mfs.partial"
        self._temporary.parent.mkdir(exist_ok=True)
        self._file = self._temporary.open("wb")
        self._file.write(SHARD_MAGIC)
        self._size = self._frame_start = len(SHARD_MAGIC)
        self._frame: FrameKey | None = None
        self._results: list[ItemResult] = []
        self._entries: list[tuple[Name, Entry]] = []
        self.note = ShardNote(StoredFile(self._name, 0, ""))

    def add(self, result: ItemResult) -> None:
        self._frame = result.item.key
        self._results.append(result)
        for packed in result.entries:
            sizes = len(packed.payload), len(packed.zeros)
            entry = Entry(self._number, self._size, *sizes, packed.crc, packed.codec, packed.height, packed.width)
            self._file.write(packed.payload)
            self._file.write(packed.zeros)
            self._size += sum(sizes)
            self._entries.append((packed.name, entry))

    def end_frame_before(self, key: FrameKey | None) -> int:
        """End the frame unless ``key`` goes on with it; bytes of whole frames so far, 0 while one goes on."""
        if key == self._frame:
            return 0
        if self._frame is not None:
            self.note.frames.append(self._frame)
        for result in self._results:
            self.note.skipped += result.skipped
            for kind, value in result.psnr:
                self.note.psnr.setdefault(kind, []).append(round(value, 3))
        self.note.entries += self._entries
        self._frame, self._results, self._entries, self._frame_start = None, [], [], self._size
        return self._size

    def forget_frame(self) -> None:
        """Take back what was written of the frame that is not finished."""
        self._file.truncate(self._frame_start)

    def end(self) -> ShardNote:
        """Flush it, give it its name, and say what is in it."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._root / self._name)
        except OSError:
            self.remove()
            raise
        self.note.file = digest_file(self._root / self._name, self._name)
        return self.note

    def remove(self) -> None:
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink()


def note_path(root: Path, number: int) -> Path:
    """Where the note of a shard is until the store is finished."""
    return root / SHARDS / f"{number:05d}.json"


def read_notes(root: Path) -> list[ShardNote]:
    """Notes of the shards that are whole, from the first on; everything else in the folder is removed."""
    notes: list[ShardNote] = []
    while (note := _read_note(root, len(notes))) is not None:
        notes.append(note)
    known = {f"{number:05d}{suffix}" for number in range(len(notes)) for suffix in (".mfs", ".json")}
    if (root / SHARDS).is_dir():
        for path in (root / SHARDS).iterdir():
            if path.name not in known:
                path.unlink()
    return notes


def _read_note(root: Path, number: int) -> ShardNote | None:
    try:
        note = ShardNote.from_json(json.loads(note_path(root, number).read_bytes()))
        size = (root / SHARDS / f"{number:05d}.mfs").stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if size == note.file.bytes and note.file.file == f"{SHARDS}/{number:05d}.mfs" else None
