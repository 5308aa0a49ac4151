"""The index of a store: where each picture, mesh and pose is, and how it is packed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from multiface.capture.image import MAX_PIXELS
from multiface.capture.names import FrameKey, is_safe_name
from multiface.capture.store.codecs import CODECS
from multiface.core.errors import FormatError

MAGIC = b"MFINDEX1"
KINDS = ("photo", "texture", "mesh", "pose")
"""What an entry is; an average texture is that of the camera ``average``. Meshes and poses have the camera ``""``."""

MAX_PAYLOAD = 512 << 20
_MAX_HEADER = 256 << 20
_ROW = np.dtype(
    [
        ("kind", "u1"),
        ("codec", "u1"),
        ("segment", "<u4"),
        ("camera", "<u4"),
        ("frame", "<u4"),
        ("shard", "<u4"),
        ("offset", "<u8"),
        ("length", "<u4"),
        ("zeros", "<u4"),
        ("crc", "<u4"),
        ("height", "<u4"),
        ("width", "<u4"),
    ]
)


class Entry(NamedTuple):
    """One array in a shard.

    Attributes:
        shard: Number of the shard.
        offset: First byte in the shard.
        length: Bytes of the packed array.
        zeros: Bytes after those that say what was exactly zero; 0 for lossless codecs.
        crc: CRC-32 of all ``length + zeros`` bytes.
        codec: One of :data:`CODECS`.
        height, width: Of a picture; vertices and 3 of a mesh; 3 and 4 of a pose.
    """

    shard: int
    offset: int
    length: int
    zeros: int
    crc: int
    codec: str
    height: int
    width: int

    @property
    def n_bytes(self) -> int:
        """All bytes in the shard."""
        return self.length + self.zeros


class Name(NamedTuple):
    """What an entry is; text is ``kind/segment/camera/frame``."""

    kind: str
    key: FrameKey
    camera: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.key.segment, self.camera, self.key.frame) if part)


@dataclass(frozen=True, eq=False)
class StoreIndex:
    """All entries of a store, sorted by kind, segment, camera and frame.

    Attributes:
        segments, cameras, frames: Names that rows refer to.
        rows: One structured row for each entry.
    """

    segments: tuple[str, ...]
    cameras: tuple[str, ...]
    frames: tuple[str, ...]
    rows: np.ndarray

    @classmethod
    def build(cls, entries: Sequence[tuple[Name, Entry]]) -> StoreIndex:
        """The index of these entries."""
        segments, cameras, frames = ({name: i for i, name in enumerate(sorted(names))} for names in _names(entries))
        rows = np.array(
            [
                (
                    KINDS.index(name.kind),
                    CODECS.index(entry.codec),
                    segments[name.key.segment],
                    cameras[name.camera],
                    frames[name.key.frame],
                    *(entry.shard, entry.offset, entry.length, entry.zeros, entry.crc, entry.height, entry.width),
                )
                for name, entry in entries
            ],
            _ROW,
        )
        order = np.lexsort([rows[field] for field in ("frame", "camera", "segment", "kind")])
        return cls(tuple(segments), tuple(cameras), tuple(frames), rows[order])

    def groups(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """Rows of each (kind, segment, camera): first and one after the last."""
        if not len(self.rows):
            return {}
        identity = np.stack([self.rows[field].astype(np.int64) for field in ("kind", "segment", "camera")], 1)
        starts = np.flatnonzero(np.r_[True, (identity[1:] != identity[:-1]).any(1)])
        ends = np.r_[starts[1:], len(self.rows)]
        return {
            (KINDS[kind], self.segments[segment], self.cameras[camera]): (int(start), int(end))
            for (kind, segment, camera), start, end in zip(identity[starts].tolist(), starts, ends)
        }

    def entry(self, row: int) -> Entry:
        """One entry."""
        values = self.rows[row].item()
        _, codec, _, _, _, shard, offset, length, zeros, crc, height, width = values
        return Entry(shard, offset, length, zeros, crc, CODECS[codec], height, width)

    def name(self, row: int) -> Name:
        """What that entry is."""
        kind, _, segment, camera, frame = self.rows[row].item()[:5]
        return Name(KINDS[kind], FrameKey(self.segments[segment], self.frames[frame]), self.cameras[camera])

    def to_bytes(self) -> bytes:
        """The file: magic, length of the header, header as JSON, rows."""
        header = {"rows": len(self.rows), "segments": self.segments, "cameras": self.cameras, "frames": self.frames}
        text = json.dumps(header, separators=(",", ":")).encode()
        return MAGIC + len(text).to_bytes(8, "little") + text + self.rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, shard_bytes: Sequence[int], where: str) -> StoreIndex:
        """Read :meth:`to_bytes`; nothing in it is trusted.

        Args:
            data: Content of the file.
            shard_bytes: Size of each shard, within which entries must be.
            where: The file, for errors.

        Raises:
            FormatError: it is no index, or says something that cannot be.
        """
        length = int.from_bytes(data[8:16], "little")
        if data[:8] != MAGIC or length > min(_MAX_HEADER, len(data) - 16):
            raise _broken(where, "it is no index of this version")
        try:
            header = json.loads(data[16 : 16 + length])
            segments, cameras, frames = (
                _checked(header[kind], empty=kind == "cameras") for kind in ("segments", "cameras", "frames")
            )
            count = header["rows"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _broken(where, f"its header cannot be read ({error})") from error
        body = memoryview(data)[16 + length :]
        if not isinstance(count, int) or len(body) != count * _ROW.itemsize:
            raise _broken(where, f"{len(body):,} bytes are no {count} rows")
        index = cls(segments, cameras, frames, np.frombuffer(body, _ROW))
        index._check(np.asarray(shard_bytes, np.uint64), where)
        return index

    def _check(self, shard_bytes: np.ndarray, where: str) -> None:
        rows = self.rows
        limits = {
            "kind": len(KINDS),
            "codec": len(CODECS),
            "segment": len(self.segments),
            "camera": len(self.cameras),
            "frame": len(self.frames),
            "shard": len(shard_bytes),
        }
        for field, limit in limits.items():
            if len(rows) and int(rows[field].max()) >= limit:
                raise _broken(where, f"{field} {int(rows[field].max())} of {limit}")
        sizes = rows["length"].astype(np.uint64) + rows["zeros"]
        pixels = rows["height"].astype(np.uint64) * rows["width"]
        outside = rows["offset"] > shard_bytes[rows["shard"]] - np.minimum(sizes, shard_bytes[rows["shard"]])
        too_large = (sizes > MAX_PAYLOAD) | (sizes > shard_bytes[rows["shard"]]) | (pixels > MAX_PIXELS) | (pixels == 0)
        for wrong, what in ((outside, "is not within its shard"), (too_large, "has a size that cannot be")):
            if wrong.any():
                raise _broken(where, f"entry {self.name(int(np.flatnonzero(wrong)[0]))} {what}")


def _names(entries: Sequence[tuple[Name, Entry]]) -> tuple[set[str], set[str], set[str]]:
    names = [name for name, _ in entries]
    return {name.key.segment for name in names}, {name.camera for name in names}, {name.key.frame for name in names}


def _checked(names: Any, *, empty: bool) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError("names are different words")
    bad = [name for name in names if not is_safe_name(name) and not (empty and name == "")]
    if bad:
        raise ValueError(f"the name {bad[0]!r} cannot be part of a path")
    return tuple(names)


def _broken(where: str, found: str) -> FormatError:
    return FormatError(
        "the index of the store cannot be used", where=where, found=found, remedy="Copy the store again, or pack it again"
    )
