"""One archive from wherever it stands to its place: kept, gone on with, fetched anew, or mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from multiface.release.errors import ArchiveError, ChangedError, RefusedArchiveError
from multiface.release.extract import Extraction, Job, place
from multiface.release.listing import missing_files
from multiface.release.mend import mend
from multiface.release.records import Entry, Record, read_record
from multiface.release.selection import Request

ATTEMPTS = 3
"""How often an archive is fetched from its beginning when what arrives is damaged."""


@dataclass
class Outcome:
    """What was done about one archive.

    Attributes:
        status: ``"kept"`` (all was there), ``"fetched"`` or ``"mended"`` (only some members were fetched).
        files: Files of it that are on disk.
        bytes: Their bytes.
        size: Bytes of the archive.
        verified: Whether the server lists a checksum, and it agreed.
        psnr: Of the pictures that were stored in another format, dB.
        again: How often it had to be begun anew.
    """

    status: str
    files: int
    bytes: int
    size: int | None
    verified: bool
    psnr: list[float] = field(default_factory=list)
    again: int = 0


def fetch_archive(job: Job, request: Request, digest: str) -> Outcome:
    """Make sure that every wanted member of an archive is in its place.

    Args:
        job: Where and how.
        request: The archive and what is wanted of it.
        digest: MD5 that the server lists, ``""`` for none.

    Raises:
        TransferError, ArchiveError, RefusedArchiveError, ChangedError: it could not be done; what was complete before is kept.
        Stopped: the user interrupted.
    """
    again = 0
    while True:
        try:
            status, record = _advance(job, request, digest)
            return _outcome(status, record, again)
        except (ArchiveError, ChangedError):
            again += 1
            job.state.forget(request.archive)
            if again >= ATTEMPTS:
                raise
        except RefusedArchiveError:
            job.state.forget(request.archive)
            raise


def _advance(job: Job, request: Request, digest: str) -> tuple[str, Record]:
    record = read_record(job.state.record(request.archive), mend=True)
    if record.placed and job.keep_archives and not job.state.kept(request.archive).exists():
        job.state.forget(request.archive)
        record = Record()
    if record.placed:
        return _complete(job, request, record)
    if record.verified is None:
        record = Extraction(job, request, digest, record).run()
    place(job.state, request, record)
    missing = missing_files(job.state, request, record)
    if missing:  # begun by a run that wanted fewer members
        mend(job, request, record, missing)
    return "fetched", record


def _complete(job: Job, request: Request, record: Record) -> tuple[str, Record]:
    """Fetch members of a placed archive that are wanted and not there, and nothing else."""
    if job.broken is None:
        missing = missing_files(job.state, request, record)
    else:
        missing = job.broken.get(request.archive.key, [])
    if not missing:
        return "kept", record
    mend(job, request, record, missing)
    return "mended", record


def _outcome(status: str, record: Record, again: int) -> Outcome:
    extracted = record.extracted
    return Outcome(
        status,
        files=len(extracted),
        bytes=sum(entry.on_disk[0] for entry in extracted),
        size=record.begin.size if record.begin else None,
        verified=bool(record.verified),
        psnr=_psnr(extracted),
        again=again,
    )


def _psnr(entries: Iterable[Entry]) -> list[float]:
    return [entry.psnr for entry in entries if entry.psnr is not None]
