"""Stores behind a web address: small files are fetched when one is opened, shards are read in parts."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from multiface.capture.names import is_safe_name
from multiface.capture.store.manifest import MANIFEST, StoredFile, parse_manifest
from multiface.capture.store.shards import HttpShards
from multiface.capture.store.store import Store
from multiface.core.errors import FormatError, StorageError
from multiface.core.files import make_folder, user_cache_folder, write_bytes

_LARGEST_MANIFEST = 256 << 20
_LARGEST_FILE = 4 << 30
_ADDRESS = re.compile(r"(https?):/{1,2}(?=[^/])", re.IGNORECASE)


def web_address(path: str | Path) -> str | None:
    """The address that ``path`` stands for, also after ``Path`` made one slash of two; None for a path on disk."""
    text = str(path).replace("\\", "/")
    match = _ADDRESS.match(text)
    return None if match is None else f"{match[1].lower()}://{text[match.end() :]}".rstrip("/")


def open_remote(url: str) -> tuple[Store, str]:
    """The store at ``url``, and the name of its last part. Its small files go to the user's cache folder.

    Raises:
        FormatError: there is no store, the server gives no ranges, or a file is not what the manifest says.
        StorageError: there is nowhere to keep the small files.
    """
    shards = HttpShards(url)
    data = bytes(shards.read_file(MANIFEST, _LARGEST_MANIFEST))
    manifest = parse_manifest(data, f"{url}/{MANIFEST}")
    name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]) or manifest.name
    name = name if is_safe_name(name) else manifest.name
    root = _folder(hashlib.sha256(url.encode() + data).hexdigest()[:24]) / name
    for file in (manifest.index, *manifest.files):
        if not file.file.startswith("audio/"):  # sounds are many and large; the one that is asked for is fetched
            fetch(shards, root, file)
    if not (root / MANIFEST).is_file():
        write_bytes(root / MANIFEST, data)
    return Store(root, shards), name


def fetch(shards: HttpShards, root: Path, file: StoredFile) -> Path:
    """A small file of a remote store, from the cache folder if it is there."""
    path = root / file.file
    if path.is_file() and path.stat().st_size == file.bytes:
        return path
    if file.bytes > _LARGEST_FILE:
        raise FormatError("a file of the store is too large", where=shards.where(file.file), found=f"{file.bytes:,} bytes")
    data = bytes(shards.read_file(file.file, file.bytes))
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise FormatError(
            "a file of the store is not what its manifest says: wrong checksum",
            where=shards.where(file.file),
            remedy="Upload the store again",
        )
    write_bytes(path, data)
    return path


def _folder(name: str) -> Path:
    usual = user_cache_folder()
    try:
        if usual is not None:
            return make_folder(usual / "stores" / name)
    except StorageError:
        pass  # a folder that lasts as long as the system keeps it does as well
    return Path(tempfile.mkdtemp(prefix="multiface-store-"))
