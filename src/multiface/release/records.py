"""What is known on disk about each archive: a journal that grows while it is fetched and stays as its record.

One file of JSON lines for each archive. Each line is written when what it tells has happened, and a last line that was
cut off is ignored, so the journal is right however the process ends. Lines:

* ``begin``: size and version of the archive, its checksum, what is wanted of it, the boot of the machine;
* ``member``: a file that has passed by whole, where it is, its hashes, and the state of the archive's MD5 after it;
* ``part``: a large file of which so many bytes are there;
* ``verified``: the checksum of the archive agreed; from here on the files move to their final names;
* ``placed``: all of them are there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from multiface.core.errors import StorageError
from multiface.core.files import storage_errors

_LARGEST_LINE = 64 << 10


@dataclass(frozen=True)
class Begin:
    """How an archive was begun.

    Attributes:
        size: Bytes of the archive.
        etag: Its version on the server.
        md5: Digest that the server lists; ``""`` when it lists none.
        store: How pictures are stored: ``"png"`` as they come, else the format.
        boot: Identity of the running system; files written before a power failure are not to be trusted by size alone.
    """

    size: int | None
    etag: str
    md5: str
    store: str
    boot: str


class Stored(NamedTuple):
    """A picture in its new format: suffix of its name, bytes, first half of its SHA-256, PSNR in dB."""

    suffix: str
    size: int
    hash: str
    psnr: float


class Part(NamedTuple):
    """A large member that is on its way.

    Attributes:
        path, position, size, number: As in :class:`Entry`.
        written: Bytes of it that are on disk.
        md5: State of the archive's MD5 after them.
    """

    path: str
    position: int
    size: int
    number: int
    written: int
    md5: str


class Entry(NamedTuple):
    """A member of an archive.

    Attributes:
        path: Final path below the destination, with ``/``.
        position: Where its content begins in the archive.
        size: Bytes in the archive.
        hash: First half of the SHA-256 of these bytes, hexadecimal.
        after: Where the next header begins.
        md5: State of the archive's MD5 there.
        number: Name in the staging folder; ``None`` when it was not extracted.
        stored_size, stored_hash: Of the file on disk, when it is not the one in the archive.
        psnr: Of the picture on disk against the one in the archive, dB.
    """

    path: str
    position: int
    size: int
    hash: str
    after: int
    md5: str
    number: int | None
    stored_size: int | None = None
    stored_hash: str | None = None
    psnr: float | None = None

    def stored_as(self, stored: Stored | None) -> Entry:
        """This member as a picture in another format, if there is one."""
        if stored is None:
            return self
        path = self.path.rsplit(".", 1)[0] + stored.suffix
        return self._replace(path=path, stored_size=stored.size, stored_hash=stored.hash, psnr=stored.psnr)

    def as_in_archive(self) -> Entry:
        """This member with the name and content that it has in the archive."""
        if self.stored_size is None:
            return self
        path = self.path.rsplit(".", 1)[0] + ".png"
        return self._replace(path=path, stored_size=None, stored_hash=None, psnr=None)

    @property
    def on_disk(self) -> tuple[int, str]:
        """(size, hash) that the file on disk must have."""
        if self.stored_size is None or self.stored_hash is None:
            return self.size, self.hash
        return self.stored_size, self.stored_hash


@dataclass
class Record:
    """What the journal of an archive tells.

    Attributes:
        begin: How it was begun; ``None`` when nothing is known.
        entries: Members by their position; those fetched again later replace earlier ones.
        part: A large member after those, of which some is there.
        verified: The checksum agreed (``""`` when the server lists none); ``None`` before that.
        placed: All files have their final names.
    """

    begin: Begin | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    part: Part | None = None
    verified: str | None = None
    placed: bool = False

    @property
    def extracted(self) -> list[Entry]:
        """Members that are on disk."""
        return [entry for entry in self.entries.values() if entry.number is not None]


class Journal:
    """The journal of one archive, open for writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begin(self, begin: Begin) -> None:
        self._write({"begin": asdict(begin)})

    def member(self, entry: Entry) -> None:
        self._write({"member": entry})

    def part(self, part: Part) -> None:
        self._write({"part": part})

    def verified(self, digest: str) -> None:
        self._write({"verified": digest}, flush=True)

    def placed(self) -> None:
        self._write({"placed": True}, flush=True)

    def _write(self, line: dict[str, Any], flush: bool = False) -> None:
        with storage_errors(self.path):
            self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            if flush:
                os.fsync(self._file.fileno())


def read_record(path: Path, *, mend: bool = False) -> Record:
    """Read a journal, up to a last line that was not finished. An absent one gives an empty record.

    Args:
        path: The journal.
        mend: Cut off such a line, so that lines can follow. Only for whoever holds the lock of the destination: to others a
            line that is just being written looks the same.

    Raises:
        StorageError: it is damaged in another way.
    """
    record, good = Record(), 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), 1):
                try:
                    _apply(record, json.loads(line))
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    if not line.endswith(b"\n") or not file.read(1):
                        break  # written while the machine went down
                    raise StorageError(
                        "the record of this archive is damaged",
                        where=f"{path}, line {number}",
                        remedy="Remove that file; its archive is fetched again then",
                    ) from error
                if not line.endswith(b"\n"):
                    break
                good += len(line)
        if mend and good < path.stat().st_size:
            os.truncate(path, good)
    except FileNotFoundError:
        return Record()
    return record


def _lines(file) -> Iterator[bytes]:
    while line := file.readline(_LARGEST_LINE):
        yield line


def _apply(record: Record, line: dict[str, Any]) -> None:
    if "member" in line:
        entry = Entry(*line["member"])
        record.entries[entry.position] = entry
        record.part = None
    elif "part" in line:
        record.part = Part(*line["part"])
    elif "begin" in line:
        record.begin = Begin(**line["begin"])
    elif "verified" in line:
        record.verified = str(line["verified"])
    elif "placed" in line:
        record.placed = True
    else:
        raise ValueError("unknown line")


def boot_id() -> str:
    """Identity of the running system, new after each start of the machine; ``""`` where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
