"""One archive from the server into files with temporary names, checked while it streams past."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from multiface.core.files import storage_errors
from multiface.core.parallel import ordered_map
from multiface.release.errors import ArchiveError, RefusedArchiveError
from multiface.release.md5 import Md5
from multiface.release.member_paths import Place, place_of
from multiface.release.network import Server
from multiface.release.records import Begin, Entry, Journal, Part, Record, Stored, boot_id
from multiface.release.resume import clear, pieces, rewrite, short, trusted
from multiface.release.selection import Request
from multiface.release.state import State
from multiface.release.stream import FileStream
from multiface.release.tar import Bytes, Member, TarReader
from multiface.release.transcode import Transcoder

PART = 64 << 20
"""A member larger than this is written down in parts, so that not all of it is lost with the process."""
_ARCHIVE = "archive.tar"
_FLUSHING = 8
"""Files forced to disk at the same time: the file system writes its own journal once for several."""


@dataclass
class Job:
    """Where to extract, from where, and how.

    Attributes:
        server: The server.
        state: The destination.
        transcoder: Stores pictures in another format; ``None`` to keep them as they come.
        keep_archives: Keep the archives as well.
        broken: Members that are to be fetched again, by the key of their archive; ``None`` for those that are missing.
        received: Called with the number of bytes whenever some arrived.
        extracted: Called with the number of bytes whenever a file is whole.
    """

    server: Server
    state: State
    transcoder: Transcoder | None = None
    keep_archives: bool = False
    broken: Mapping[str, list[Entry]] | None = None
    received: Callable[[int], None] = field(default=lambda count: None)
    extracted: Callable[[int], None] = field(default=lambda count: None)

    @property
    def store(self) -> str:
        return "png" if self.transcoder is None else self.transcoder.name


class Extraction:
    """Extracts the members of one archive that a request wants, from wherever an earlier attempt had come to."""

    def __init__(self, job: Job, request: Request, digest: str, record: Record) -> None:
        self._job, self._request, self._digest, self._record = job, request, digest, record
        self._staging = job.state.staging(request.archive)
        self._where = job.server.url(request.archive.key)
        self._waiting: deque[tuple[Entry, Future[Stored | None]]] = deque()
        self._count = 0
        self._claimed: set[str] = set()

    def run(self) -> Record:
        """Fetch and extract the archive; afterwards all wanted files are in the staging folder and the checksum agrees.

        Raises:
            ArchiveError: what arrived is damaged, or the checksum differs.
            RefusedArchiveError: a member is not acceptable.
            ChangedError: the file on the server is another one than before.
            TransferError: given up.
        """
        entries, part = self._resume()
        start, md5 = _checkpoint(entries, part)
        begin = self._record.begin
        stream = FileStream(
            self._job.server,
            self._request.archive.key,
            start=start,
            total=begin.size if begin else None,
            etag=begin.etag if begin else "",
            received=self._job.received,
        )
        chunks = stream.chunks()
        first = next(chunks, b"")
        with Journal(self._job.state.record(self._request.archive)) as journal, self._archive(start) as keep:
            if begin is None:
                journal.begin(Begin(stream.total, stream.etag, self._digest, self._job.store, boot_id()))

            def passed(piece: memoryview) -> None:
                md5.update(piece)
                keep(piece)

            bytes_ = Bytes(itertools.chain((first,) if first else (), chunks), start, passed)
            reader = TarReader(bytes_, self._where, lambda: stream.total, count=len(entries))
            self._members(reader, bytes_, md5, journal, part)
            self._check(md5)
            journal.verified(self._digest)
        self._record.verified = self._digest
        return self._record

    def _resume(self) -> tuple[list[Entry], Part | None]:
        """What can be taken over; everything else of an earlier attempt is removed."""
        record, path = self._record, self._job.state.record(self._request.archive)
        begin = record.begin
        kept = self._staging / _ARCHIVE
        usable = begin is not None and begin.md5 == self._digest and begin.store == self._job.store
        if usable and self._job.keep_archives:
            start, _ = _checkpoint(list(record.entries.values()), record.part)
            usable = kept.is_file() and kept.stat().st_size >= start
        if not usable:
            self._job.state.forget(self._request.archive)
            self._record = Record()
        else:
            entries, complete = trusted(record, self._staging)
            if not complete or (record.part and not self._has_part(record.part)):
                rewrite(path, record, entries)
        with storage_errors(self._staging):
            self._staging.mkdir(parents=True, exist_ok=True)
        entries = list(self._record.entries.values())
        for path in [entry.path for entry in entries] + ([self._record.part.path] if self._record.part else []):
            self._claim(path)
        self._count = 1 + max((entry.number for entry in entries if entry.number is not None), default=-1)
        return entries, self._record.part

    def _has_part(self, part: Part) -> bool:
        try:
            size = (self._staging / str(part.number)).stat().st_size
        except OSError:
            return False
        return size >= part.written and self._record.begin is not None and self._record.begin.boot == boot_id() != ""

    def _archive(self, start: int) -> _Keep:
        return _Keep(self._staging / _ARCHIVE if self._job.keep_archives else None, start)

    def _members(self, reader: TarReader, stream: Bytes, md5: Md5, journal: Journal, part: Part | None) -> None:
        if part is not None:
            reader.go_on_inside(part.size, part.written)
            member = Member(part.path, part.position, part.size)
            self._store(reader, stream, md5, journal, member, self._place(part.path), part)
        while (member := reader.next()) is not None:
            place = self._place(member.name)
            self._claim(place.path)
            if self._request.wants(place.camera, place.segment):
                self._store(reader, stream, md5, journal, member, place, None)
            else:
                digest = hashlib.sha256()
                for piece in reader.content():
                    digest.update(piece)
                entry = Entry(place.path, member.position, member.size, short(digest), stream.position, md5.state(), None)
                self._finished(journal, entry)
        reader.finish()
        self._drain(journal, at_most=0)

    def _claim(self, path: str) -> None:
        """Two files must not have one name, nor two pictures names that differ in their endings only."""
        name = path.rsplit(".", 1)[0] if self._request.archive.kind in ("images", "textures") else path
        if name in self._claimed:
            raise RefusedArchiveError(f"archive refused: member {path!a} occurs twice", where=self._where)
        self._claimed.add(name)

    def _place(self, name: str) -> Place:
        return place_of(name, self._request.archive, self._where)

    def _store(
        self,
        reader: TarReader,
        stream: Bytes,
        md5: Md5,
        journal: Journal,
        member: Member,
        place: Place,
        part: Part | None,
    ) -> None:
        """Write one member to its temporary file; ``part`` when some of it is there."""
        number = self._count if part is None else part.number
        self._count = number + 1
        path, written = self._staging / str(number), 0 if part is None else part.written
        digest, noted = hashlib.sha256(), written
        with storage_errors(self._job.state.destination), path.open("wb" if part is None else "r+b") as file:
            if part is not None:
                file.truncate(written)
                for piece in pieces(file):
                    digest.update(piece)
            for piece in reader.content():
                file.write(piece)
                digest.update(piece)
                written += len(piece)
                if written - noted >= PART and written < member.size:
                    file.flush()
                    noted = written
                    self._drain(journal, at_most=0)
                    journal.part(Part(place.path, member.position, member.size, number, written, md5.state()))
        entry = Entry(place.path, member.position, member.size, short(digest), stream.position, md5.state(), number)
        transcoder = self._job.transcoder
        if transcoder is not None and transcoder.takes(self._request.archive.kind, place.path, member.size):
            self._waiting.append((entry, transcoder.submit(path, self._request.archive.kind)))
            self._drain(journal, at_most=transcoder.ahead)
        elif self._waiting:
            self._waiting.append((entry, _done(None)))
        else:
            self._finished(journal, entry)

    def _drain(self, journal: Journal, at_most: int) -> None:
        """Write down what the transcoder has finished, in order; wait until at most so many are left."""
        while self._waiting and (len(self._waiting) > at_most or self._waiting[0][1].done()):
            entry, future = self._waiting.popleft()
            self._finished(journal, entry.stored_as(Transcoder.result(future)))

    def _finished(self, journal: Journal, entry: Entry) -> None:
        journal.member(entry)
        self._record.entries[entry.position] = entry
        if entry.number is not None:
            self._job.extracted(entry.on_disk[0])

    def _check(self, md5: Md5) -> None:
        if self._digest and md5.hexdigest() != self._digest:
            raise ArchiveError(
                "the checksum of the archive differs", where=self._where, expected=self._digest, found=md5.hexdigest()
            )


class _Keep:
    """The archive itself, when it is to be kept."""

    def __init__(self, path: Path | None, start: int) -> None:
        self._path, self._start = path, start

    def __enter__(self) -> Callable[[memoryview], object]:
        if self._path is None:
            return lambda piece: None
        with storage_errors(self._path):
            self._file = self._path.open("r+b" if self._start else "wb")
            self._file.truncate(self._start)
            self._file.seek(self._start)
        return self._file.write

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._file.close()


def place(state: State, request: Request, record: Record) -> None:
    """Move the files of a verified archive to their final names. May be repeated after an interruption."""
    staging, folders = state.staging(request.archive), set()
    with storage_errors(state.destination):
        moves = [(staging / str(entry.number), state.final(entry.path)) for entry in record.extracted]
        moves = [(staged, final) for staged, final in moves if staged.exists()]  # others were moved before an interruption
        for _ in ordered_map(flush, [staged for staged, _ in moves], workers=_FLUSHING):
            pass
        for staged, final in moves:
            if final.parent not in folders:
                final.parent.mkdir(parents=True, exist_ok=True)
                folders.add(final.parent)
            staged.replace(final)
        kept = staging / _ARCHIVE
        if kept.exists():
            flush(kept)
            state.kept(request.archive).parent.mkdir(parents=True, exist_ok=True)
            kept.replace(state.kept(request.archive))
        for folder in folders:
            with suppress(OSError):  # not every system opens folders
                flush(folder)
    with Journal(state.record(request.archive)) as journal:
        journal.placed()
    record.placed = True
    clear(staging)


def _checkpoint(entries: list[Entry], part: Part | None) -> tuple[int, Md5]:
    """Where to go on, and the MD5 of everything before."""
    if part is not None:
        position = part.position + part.written
        return position, Md5.resumed(part.md5, position)
    if entries:
        return entries[-1].after, Md5.resumed(entries[-1].md5, entries[-1].after)
    return 0, Md5()


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _done(value: Stored | None) -> Future[Stored | None]:
    future: Future[Stored | None] = Future()
    future.set_result(value)
    return future
