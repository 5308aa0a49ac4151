"""The manifest of a store, ``store.json``: which files belong to it, with size and digest. It is written last."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from multiface.capture.names import is_safe_name
from multiface.core.errors import FormatError
from multiface.core.files import write_text

MANIFEST = "store.json"
INDEX = "index.mfi"
SHARDS = "shards"
SHARD_MAGIC = b"MFSHARD1"
VERSION = 1

_KIND = "multiface store"
_LARGEST = 256 << 20
_SHARD = re.compile(r"shards/\d{5}\.mfs")
_SIDE_FILES = re.compile(
    r"KRT|frame_list\.txt|tex_(mean\.png|var\.txt)|vert_(mean\.bin|var\.txt)|[\w.-]+\.obj|loss_weight_mask\.png"
)


class StoredFile(NamedTuple):
    """A file of a store: path below it with ``/``, bytes, SHA-256 in hex."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Content of ``store.json``.

    Attributes:
        name: Name of the capture that was packed.
        texture_size: T of the textures; None when there are none.
        index: The index.
        shards: In the order of their numbers.
        files: Calibration, frame list, statistics, topology, sounds: as in a capture folder.
        settings: How it was packed.
        psnr: Kind -> mean and lowest PSNR (dB) of lossy codecs, over what cameras saw.
        counts: Kind -> number of entries.
        camera_sizes: Camera -> (height, width) of the pictures that its calibration belongs to.
        skipped: Files of the capture that could not be packed, and why.
    """

    name: str
    texture_size: int | None
    index: StoredFile
    shards: tuple[StoredFile, ...]
    files: tuple[StoredFile, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    psnr: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    camera_sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()

    def write(self, root: Path) -> None:
        """Write it to a store; from then on it is one."""
        values = {key: value for key, value in asdict(self).items() if key not in ("index", "shards", "files")}
        values["index"] = self.index._asdict()
        values["shards"] = [file._asdict() for file in self.shards]
        values["files"] = [file._asdict() for file in self.files]
        write_text(root / MANIFEST, json.dumps({"kind": _KIND, "version": VERSION, **values}, indent=1) + "\n")


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read ``store.json``; nothing in it is trusted: no file it names is outside the store.

    Raises:
        FormatError: it is no manifest of a store of this version.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken(where, "it is not valid JSON") from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise _broken(where, "it is something else")
    if content.get("version") != VERSION:
        raise _broken(where, f"it is of version {content.get('version')!r}, this program reads {VERSION}")
    try:
        size = content["texture_size"]
        if size is not None and not (isinstance(size, int) and 1 <= size <= 99999):
            raise ValueError(f"texture size {size!r}")
        manifest = Manifest(
            name=_name(content["name"]),
            texture_size=size,
            index=_file(content["index"], re.compile(re.escape(INDEX))),
            shards=tuple(_file(entry, _SHARD) for entry in content["shards"]),
            files=tuple(_file(entry, None) for entry in content["files"]),
            settings=dict(content.get("settings", {})),
            psnr=dict(content.get("psnr", {})),
            counts=dict(content.get("counts", {})),
            camera_sizes={str(name): _size(size) for name, size in content["camera_sizes"].items()},
            skipped=tuple((str(what), str(why)) for what, why in content.get("skipped", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(where, f"{error}") from error
    if len({file.file for file in (*manifest.shards, *manifest.files)}) != len(manifest.shards) + len(manifest.files):
        raise _broken(where, "a file is listed twice")
    return manifest


def read_manifest(root: Path) -> Manifest:
    """The manifest of a store on disk."""
    path = root / MANIFEST
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise FormatError(f"the manifest of the store cannot be read: {error.strerror}", where=path) from error
    if len(data) > _LARGEST:
        raise _broken(str(path), "it is too large to be one")
    return parse_manifest(data, str(path))


def digest_file(path: Path, relative: str) -> StoredFile:
    """Size and digest of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return StoredFile(relative, size, digest.hexdigest())


def is_side_file(name: str) -> bool:
    """Whether a store may hold a file of that name beside its shards and index."""
    folder, _, sound = name.rpartition("/")
    if folder:
        return folder == "audio" and sound.endswith(".wav") and is_safe_name(sound)
    return _SIDE_FILES.fullmatch(name) is not None and is_safe_name(name)


def _file(entry: Any, pattern: re.Pattern[str] | None) -> StoredFile:
    name, size, digest = entry["file"], entry["bytes"], entry["sha256"]
    known = isinstance(name, str) and (is_side_file(name) if pattern is None else pattern.fullmatch(name) is not None)
    if not known:
        raise ValueError(f"file {name!r} cannot be part of a store")
    if not isinstance(size, int) or not 0 <= size < 1 << 50 or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"size or digest of {name}")
    return StoredFile(name, size, digest)


def _size(size: Any) -> tuple[int, int]:
    height, width = size
    if not (isinstance(height, int) and isinstance(width, int) and 0 < height < 1 << 16 and 0 < width < 1 << 16):
        raise ValueError(f"picture size {size!r}")
    return height, width


def _name(name: Any) -> str:
    if not isinstance(name, str) or not is_safe_name(name):
        raise ValueError(f"name {name!r}")
    return name


def _broken(where: str, found: str) -> FormatError:
    return FormatError(
        "the manifest of the store cannot be used", where=where, found=found, remedy="Copy the store again, or pack it again"
    )
