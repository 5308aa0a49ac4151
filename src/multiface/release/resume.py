"""Going on with an archive that another process began."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from multiface.core.files import atomic_path, storage_errors
from multiface.release.records import Entry, Journal, Record, boot_id

_PIECE = 1 << 20


def trusted(record: Record, staging: Path) -> tuple[list[Entry], bool]:
    """Members up to the first whose file is not there as it was written down, and whether these are all of them.

    Sizes tell as long as the system has not been started anew since: what a process wrote outlives it. After a power
    failure files may be there without their content, and every one is read again.
    """
    reread = record.begin is None or not record.begin.boot or record.begin.boot != boot_id()
    good: list[Entry] = []
    for entry in record.entries.values():
        if entry.number is not None and not is_whole(staging / str(entry.number), entry, reread=reread):
            return good, False
        good.append(entry)
    return good, True


def is_whole(path: Path, entry: Entry, *, reread: bool) -> bool:
    """Whether the file of ``entry`` has the size, and with ``reread`` the content, that were written down."""
    size, digest = entry.on_disk
    try:
        return path.stat().st_size == size and (not reread or hash_of(path) == digest)
    except OSError:
        return False


def hash_of(path: Path) -> str:
    """First half of the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in pieces(file):
            digest.update(piece)
    return short(digest)


def short(digest) -> str:
    return digest.hexdigest()[:32]


def pieces(file) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def rewrite(path: Path, record: Record, entries: list[Entry]) -> None:
    """Make ``entries`` and nothing else the members of a journal."""
    with atomic_path(path) as temporary, Journal(temporary) as journal:
        if record.begin is not None:
            journal.begin(record.begin)
        for entry in entries:
            journal.member(entry)
    record.entries, record.part = {entry.position: entry for entry in entries}, None


def clear(staging: Path) -> None:
    """Remove a staging folder."""
    with storage_errors(staging), suppress(FileNotFoundError):
        shutil.rmtree(staging)
