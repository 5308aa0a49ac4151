"""Single members of an archive, fetched by their place in it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator

from multiface.core.files import storage_errors
from multiface.release.errors import ArchiveError
from multiface.release.extract import Job, flush
from multiface.release.records import Entry, Journal, Record
from multiface.release.resume import clear, short
from multiface.release.selection import Request
from multiface.release.stream import FileStream
from multiface.release.tar import Bytes

_GAP = 64 << 10
"""Members closer together than this are fetched in one go."""


def mend(job: Job, request: Request, record: Record, entries: Iterable[Entry]) -> None:
    """Fetch ``entries`` of an archive whose record is complete, check each by its hash, and put it in its place.

    Raises:
        ArchiveError: a member is not what was recorded; the archive on the server is another one.
        ChangedError: likewise.
        TransferError: given up.
    """
    staging = job.state.staging(request.archive)
    with storage_errors(staging):
        staging.mkdir(parents=True, exist_ok=True)
    with Journal(job.state.record(request.archive)) as journal:
        for run in _runs(sorted(entries, key=lambda entry: entry.position)):
            for entry in _fetch(job, request, record, run):
                journal.member(entry)
                record.entries[entry.position] = entry
                job.extracted(entry.on_disk[0])
        journal.placed()
    clear(staging)


def _runs(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Neighbours in the archive together."""
    run: list[Entry] = []
    for entry in entries:
        if run and entry.position - (run[-1].position + run[-1].size) > _GAP:
            yield run
            run = []
        run.append(entry)
    if run:
        yield run


def _fetch(job: Job, request: Request, record: Record, run: list[Entry]) -> Iterator[Entry]:
    begin, key = record.begin, request.archive.key
    stream = FileStream(
        job.server,
        key,
        start=run[0].position,
        end=run[-1].position + run[-1].size,
        total=begin.size if begin else None,
        etag=begin.etag if begin else "",
        received=job.received,
    )
    source = Bytes(stream.chunks(), run[0].position, lambda piece: None)
    for number, entry in zip(itertools.count(), run):
        source.exactly(entry.position - source.position)
        yield _one(job, request, source, entry, number)


def _one(job: Job, request: Request, source: Bytes, entry: Entry, number: int) -> Entry:
    path = job.state.staging(request.archive) / f"mend-{number}"
    digest, left = hashlib.sha256(), entry.size
    with storage_errors(job.state.destination), path.open("wb") as file:
        while left and (piece := source.some(left)):
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
    if short(digest) != entry.hash:
        where = job.server.url(request.archive.key)
        raise ArchiveError(f"{entry.path} is no longer what it was in the archive", where=where, expected=entry.hash)
    mended = entry.as_in_archive()._replace(number=entry.number or 0)
    transcoder = job.transcoder
    if transcoder is not None and transcoder.takes(request.archive.kind, mended.path, mended.size):
        mended = mended.stored_as(transcoder.result(transcoder.submit(path, request.archive.kind)))
    with storage_errors(job.state.destination):
        flush(path)
        final = job.state.final(mended.path)
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)
        if mended.path != entry.path:
            job.state.final(entry.path).unlink(missing_ok=True)
    return mended
