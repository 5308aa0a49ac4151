"""A packed capture: opened from a folder or a web address, its content read by frame and camera."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from multiface.capture.inflate import crc32
from multiface.capture.listing import Folder
from multiface.capture.names import FrameKey
from multiface.capture.store.codecs import CODECS, decode, restore_zeros
from multiface.capture.store.index import Entry, Name, StoreIndex
from multiface.capture.store.jpeg_header import plain_jpeg_size
from multiface.capture.store.manifest import INDEX, Manifest, read_manifest
from multiface.capture.store.shards import HttpShards, LocalShards, ShardFiles
from multiface.capture.unfinished import Unfinished
from multiface.core.errors import CaptureError, FormatError

_LARGEST_INDEX = 4 << 30
_REMEDY = "Copy the store again, or pack it again; `multiface inspect` lists all that is damaged"
_SUFFIX = {"photo": ".png", "texture": ".png", "mesh": ".bin", "pose": "_transform.txt"}


class Store:
    """Content of a store. Can be used by several threads and be sent to other processes.

    Args:
        root: Folder with the manifest, the index and the small files of the capture.
        shards: Where shards are; ``root`` when absent.

    Raises:
        FormatError: manifest or index are damaged.
    """

    def __init__(self, root: Path, shards: ShardFiles | None = None) -> None:
        self.root = root
        self.shards = LocalShards(root) if shards is None else shards
        self.manifest: Manifest = read_manifest(root)
        self.index = self._read_index()
        self._groups = self.index.groups()
        self._rows: dict[tuple[str, str, str], dict[str, int]] = {}
        self.listing = StoreListing(self)

    def __reduce__(self):
        return Store, (self.root, None if isinstance(self.shards, LocalShards) else self.shards)

    def _read_index(self) -> StoreIndex:
        path, expected = self.root / INDEX, self.manifest.index
        try:
            size = path.stat().st_size
            if size != expected.bytes or size > _LARGEST_INDEX:
                raise FormatError(
                    "the index of the store has the wrong size",
                    where=path,
                    expected=f"{expected.bytes:,} bytes",
                    found=f"{size:,}",
                    remedy=_REMEDY,
                )
            data = path.read_bytes()
        except OSError as error:
            raise FormatError(f"the index of the store cannot be read: {error.strerror}", where=path) from error
        if hashlib.sha256(data).hexdigest() != expected.sha256:
            raise FormatError("the index of the store is damaged: wrong checksum", where=path, remedy=_REMEDY)
        return StoreIndex.from_bytes(data, [shard.bytes for shard in self.manifest.shards], str(path))

    @property
    def groups(self) -> tuple[tuple[str, str, str], ...]:
        """Every (kind, segment, camera) of which there are entries."""
        return tuple(self._groups)

    def frames(self, kind: str, segment: str, camera: str = "") -> dict[str, int]:
        """Row of each frame of a kind, segment and camera."""
        identity = (kind, segment, camera)
        rows = self._rows.get(identity)
        if rows is None:
            start, end = self._groups.get(identity, (0, 0))
            names = self.index.frames
            rows = {names[frame]: start + i for i, frame in enumerate(self.index.rows["frame"][start:end].tolist())}
            self._rows[identity] = rows
        return rows

    @property
    def is_local(self) -> bool:
        """Whether its shards are files here, not at a web address."""
        return isinstance(self.shards, LocalShards)

    def uses(self, codec: str) -> bool:
        """Whether any entry is packed that way."""
        return bool((self.index.rows["codec"] == CODECS.index(codec)).any())

    def find(self, name: Name) -> Entry | None:
        """The entry of that name."""
        row = self.frames(name.kind, name.key.segment, name.camera).get(name.key.frame)
        return None if row is None else self.index.entry(row)

    def picture(self, name: Name, out: np.ndarray | None = None, unfinished: Unfinished | None = None) -> np.ndarray:
        """(H, W, 3) uint8 picture, in ``out`` when that has its size.

        With ``unfinished`` and ``out`` of its size it may be left as a JPEG there.

        Raises:
            CaptureError: the store has no such picture.
            FormatError: its bytes are damaged or missing; shard and entry are named.
        """
        entry = self._entry(name)
        shape = (entry.height, entry.width, 3)
        pixels = out if out is not None and out.shape == shape else np.empty(shape, np.uint8)
        if unfinished is None or unfinished.jpeg is None or entry.codec != "jpeg" or pixels is not out:
            self.unpack(name, entry, pixels)
            return pixels
        payload = self._payload(name, entry)
        unfinished.jpeg[:] = self._leave_jpeg(name, entry, payload, pixels)
        if not unfinished.jpeg[0]:
            self._decode(name, entry, payload, pixels)
        return pixels

    def _leave_jpeg(self, name: Name, entry: Entry, payload: memoryview, out: np.ndarray) -> tuple[int, int]:
        """Put the JPEG at the beginning of ``out`` and its bits at the end, checked: see :class:`Unfinished`.

        Zeros if decoders might not agree on the pixels, or there is no room.
        """
        flat, n_bits = out.reshape(-1), (out.size + 7) // 8 if entry.zeros else 0
        if entry.length + n_bits > out.size:
            return 0, 0
        if plain_jpeg_size(payload[: entry.length]) != out.shape[:2]:
            return 0, 0
        flat[: entry.length] = np.frombuffer(payload[: entry.length], np.uint8)
        if entry.zeros:
            try:
                decode(payload[entry.length :], "lz4", flat[-n_bits:])
            except ValueError as error:
                raise self._damaged(name, entry, str(error)) from error
        return entry.length, n_bits

    def vertices(self, key: FrameKey) -> np.ndarray:
        """(V, 3) float32 mesh of a frame."""
        name = Name("mesh", key, "")
        entry = self._entry(name)
        vertices = np.empty((entry.height, entry.width), np.float32)
        self.unpack(name, entry, vertices)
        if vertices.shape[1] != 3 or not np.isfinite(vertices).all():
            raise self._damaged(name, entry, "it is no mesh")
        return vertices

    def head_pose(self, key: FrameKey) -> np.ndarray:
        """(3, 4) float64 head -> world of a frame."""
        name = Name("pose", key, "")
        entry = self._entry(name)
        pose = np.empty((entry.height, entry.width), np.float64)
        self.unpack(name, entry, pose)
        if pose.shape != (3, 4) or not np.isfinite(pose).all():
            raise self._damaged(name, entry, "it is no head pose")
        return pose

    def unpack(self, name: Name, entry: Entry, out: np.ndarray) -> None:
        """Read, check and unpack one entry."""
        if entry.codec == "raw" and entry.n_bytes == out.nbytes:
            self._payload(name, entry, out.reshape(-1).view(np.uint8).data)
            return
        self._decode(name, entry, self._payload(name, entry), out)

    def _decode(self, name: Name, entry: Entry, payload: memoryview, out: np.ndarray) -> None:
        try:
            decode(payload[: entry.length], entry.codec, out)
            if entry.zeros:
                restore_zeros(payload[entry.length :], out)
        except ValueError as error:
            raise self._damaged(name, entry, str(error)) from error

    def _payload(self, name: Name, entry: Entry, into: memoryview | None = None) -> memoryview:
        """The checked bytes of an entry, which hold until this thread's next call, or are ``into``."""
        file = self.manifest.shards[entry.shard].file
        try:
            if into is not None:
                payload = into
                self.shards.read_into(file, entry.offset, into)
            else:
                payload = memoryview(self.shards.read(file, entry.offset, entry.n_bytes))
        except FormatError as error:
            raise FormatError(
                error.what,
                where=error.where,
                expected=error.expected,
                found=f"{error.found}, entry {name}" if error.found is not None else f"entry {name}",
                remedy=error.remedy,
            ) from error
        if crc32(payload) != entry.crc:
            raise self._damaged(name, entry, "wrong checksum")
        return payload

    def side_file(self, name: str) -> Path:
        """Path of a small file of the store, fetched if it is far away."""
        from multiface.capture.store.remote import fetch

        if isinstance(self.shards, HttpShards):
            return fetch(self.shards, self.root, next(file for file in self.manifest.files if file.file == name))
        return self.root / name

    def where(self, name: Name) -> str:
        """Shard and entry, for reports."""
        entry = self.find(name)
        return str(name) if entry is None else f"{self._shard(entry)}, entry {name}"

    def _shard(self, entry: Entry) -> str:
        return self.shards.where(self.manifest.shards[entry.shard].file)

    def _entry(self, name: Name) -> Entry:
        entry = self.find(name)
        if entry is None:
            raise CaptureError(f"the store has no {name}", where=self.root, remedy="Pack more of the capture")
        return entry

    def _damaged(self, name: Name, entry: Entry, why: str) -> FormatError:
        return FormatError(
            f"a shard of the store is damaged: {why}",
            where=f"{self._shard(entry)}, entry {name}",
            found=f"bytes {entry.offset:,} to {entry.offset + entry.n_bytes:,}",
            remedy=_REMEDY,
        )


class StoreListing:
    """The folders and files that a store stands for, under the names that a capture folder would give them."""

    n_listed = 0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folders: dict[str, dict[str, None]] = {"": {}}
        self._groups: dict[str, list[tuple[str, str, str]]] = {}
        for kind, segment, camera in store.groups:
            folder = self._folder(kind, segment, camera)
            self._groups.setdefault(folder, []).append((kind, segment, camera))
            self._add(folder)
        self._root_files: dict[str, list[str]] = {}
        for file in store.manifest.files:
            folder, _, name = file.file.rpartition("/")
            self._root_files.setdefault(folder, []).append(name)
            if folder:
                self._add(folder)
        self._seen: dict[str, Folder] = {}

    def files(self, folder: Path) -> frozenset[str]:
        """Names of the files in ``folder``."""
        return self._list(folder).files

    def folders(self, folder: Path) -> tuple[str, ...]:
        """Sorted names of the folders in ``folder``."""
        return self._list(folder).folders

    def read_ahead(self, folders: object) -> None:
        """Nothing to do: the index is in memory."""

    def save(self, beside: Path | None = None) -> None:
        """Nothing to keep: the index is a file already."""

    def use_folder(self, beside: Path) -> None:
        """Nothing to take."""

    def _folder(self, kind: str, segment: str, camera: str) -> str:
        if kind in ("mesh", "pose"):
            return f"tracked_mesh/{segment}"
        top = "images" if kind == "photo" else f"unwrapped_uv_{self._store.manifest.texture_size or 1024}"
        return f"{top}/{segment}/{camera}"

    def _add(self, folder: str) -> None:
        above, _, name = folder.rpartition("/")
        self._folders.setdefault(folder, {})
        if folder:
            if above:
                self._add(above)
            self._folders[above][name] = None

    def _list(self, folder: Path) -> Folder:
        key = str(folder)
        if key not in self._seen:
            self._seen[key] = self._made(folder)
        return self._seen[key]

    def _made(self, folder: Path) -> Folder:
        if not folder.is_relative_to(self._store.root):
            return Folder(frozenset(), ())
        below = folder.relative_to(self._store.root).as_posix()
        below = "" if below == "." else below
        names = list(self._root_files.get(below, ()))
        for kind, segment, camera in self._groups.get(below, ()):
            names += [frame + _SUFFIX[kind] for frame in self._store.frames(kind, segment, camera)]
        return Folder(frozenset(names), tuple(sorted(self._folders.get(below, ()))))
