"""A whole plan: several archives at a time, one result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from multiface.core.errors import FormatError, MultifaceError, StorageError
from multiface.release.checksums import LARGEST, read_checksums
from multiface.release.errors import ArchiveError, Stopped, TransferError, WorkersError
from multiface.release.extract import Job
from multiface.release.fetch import ATTEMPTS, Outcome, fetch_archive
from multiface.release.network import Server
from multiface.release.plan import Item, Plan
from multiface.release.sizes import Sizes

_HOPELESS = 3
"""So many failures for each connection, with nothing in between that went well, and the rest is not tried."""


@dataclass
class Progress:
    """Running totals, for whoever shows them. Changed by several threads under ``lock``.

    Attributes:
        archives, failed: Archives that are in place, and that could not be fetched.
        total: Archives of the plan.
        expected: Bytes that will have come over the network in the end, as far as known.
        received: Bytes that have.
        stored: Bytes of whole files on disk.
    """

    archives: int = 0
    total: int = 0
    expected: int = 0
    received: int = 0
    stored: int = 0
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add_received(self, count: int) -> None:
        with self.lock:
            self.received += count

    def add_stored(self, count: int) -> None:
        with self.lock:
            self.stored += count


@dataclass
class Result:
    """What a download did.

    Attributes:
        fetched, mended, kept: Archives that were fetched, of which single members were fetched, that were complete.
        files, bytes: On disk, of all of them.
        received: Bytes that came over the network.
        seconds: How long it took.
        unverified: Archives for which the server lists no checksum.
        failures: Archive -> what went wrong.
        pictures, mean_psnr, lowest_psnr: Pictures stored in another format, and how near they are to the originals, dB.
        not_tried: Archives that were given up after too many failures of others.
    """

    fetched: int = 0
    mended: int = 0
    kept: int = 0
    files: int = 0
    bytes: int = 0
    received: int = 0
    seconds: float = 0.0
    unverified: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    pictures: int = 0
    mean_psnr: float | None = None
    lowest_psnr: float | None = None
    not_tried: int = 0

    @property
    def good(self) -> bool:
        return not self.failures and not self.not_tried

    def add(self, item: Item, outcome: Outcome) -> None:
        setattr(self, outcome.status, getattr(self, outcome.status) + 1)
        self.files += outcome.files
        self.bytes += outcome.bytes
        if outcome.psnr:
            total = (self.mean_psnr or 0.0) * self.pictures + sum(outcome.psnr)
            self.pictures += len(outcome.psnr)
            self.mean_psnr = total / self.pictures
            self.lowest_psnr = min(outcome.psnr + ([] if self.lowest_psnr is None else [self.lowest_psnr]))
        if not outcome.verified:
            self.unverified.append(item.request.archive.key)

    def to_json(self) -> dict[str, Any]:
        return {
            "archives": self.fetched + self.mended + self.kept,
            "fetched": self.fetched,
            "mended": self.mended,
            "kept": self.kept,
            "files": self.files,
            "bytes": self.bytes,
            "received": self.received,
            "seconds": self.seconds,
            "unverified": self.unverified,
            "failures": self.failures,
            "not_tried": self.not_tried,
            "pictures_transcoded": self.pictures,
            "mean_psnr": self.mean_psnr,
            "lowest_psnr": self.lowest_psnr,
        }


class Checksums:
    """The lists of checksums, each fetched when its first archive comes and then kept."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lists: dict[str, dict[str, str] | MultifaceError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def digest(self, entity: str, name: str) -> str:
        """MD5 of an archive, ``""`` when the list lacks it.

        Raises:
            TransferError, ArchiveError: there is no usable list; the same error for every archive of that person.
        """
        with self._lock:
            lock = self._locks.setdefault(entity, threading.Lock())
        with lock:
            if entity not in self._lists:
                try:
                    self._lists[entity] = self._fetch(entity)
                except (TransferError, FormatError) as error:
                    self._lists[entity] = error
            found = self._lists[entity]
        if isinstance(found, MultifaceError):
            raise found
        return found.get(name, "")

    def _fetch(self, entity: str) -> dict[str, str]:
        path = f"{entity}/CHECKSUM"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return read_checksums(self._server.small_file(path, LARGEST), self._server.url(path))
            except ArchiveError:
                if attempt == ATTEMPTS:
                    raise
        return {}


def download(
    plan: Plan,
    job: Job,
    sizes: Sizes,
    *,
    progress: Progress | None = None,
    tick: Callable[[Progress], None] = lambda progress: None,
    tick_seconds: float = 0.2,
) -> Result:
    """Fetch everything in ``plan`` that is not in its place.

    A failure of one archive does not keep the others from being fetched; a full disk does.

    Args:
        plan: What to fetch.
        job: Where and how; its server's ``stop`` ends the work early.
        sizes: Learns the sizes that turn up.
        progress: Running totals.
        tick: Called now and then in the calling thread.
        tick_seconds: How often.

    Raises:
        StorageError: the disk is full or cannot be written to. The state is kept.
        KeyboardInterrupt: after the connections have been closed. The state is kept.
    """
    run = _Run(plan, job, sizes, progress or Progress())
    return run.run(tick, tick_seconds)


class _Run:
    def __init__(self, plan: Plan, job: Job, sizes: Sizes, progress: Progress) -> None:
        self.plan, self.job, self.sizes, self.progress = plan, job, sizes, progress
        self.result, self.checksums = Result(), Checksums(job.server)
        self.in_a_row = 0
        job.received, job.extracted = progress.add_received, progress.add_stored
        progress.total, progress.expected = len(plan.items), plan.to_fetch

    def run(self, tick: Callable[[Progress], None], tick_seconds: float) -> Result:
        connections = self.job.server.network.connections
        began = time.monotonic()
        executor = ThreadPoolExecutor(connections, thread_name_prefix="multiface")
        items = iter(self.plan.items)
        running: dict[Future[Outcome], Item] = {}
        try:
            while True:
                while len(running) < 2 * connections and (item := next(items, None)) is not None:
                    running[executor.submit(self._one, item)] = item
                if not running:
                    break
                done, _ = wait(running, tick_seconds, FIRST_COMPLETED)
                for future in done:
                    self._take(running.pop(future), future)
                if self.in_a_row >= _HOPELESS * connections:
                    self.result.not_tried = len(running) + sum(1 for _ in items)
                    break
                tick(self.progress)
        finally:
            self.job.server.stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
            self.result.received = self.progress.received
            self.result.seconds = time.monotonic() - began
            self._remember()
        return self.result

    def _one(self, item: Item) -> Outcome:
        archive = item.request.archive
        if self.job.server.stop.is_set():
            raise Stopped
        return fetch_archive(self.job, item.request, self.checksums.digest(archive.entity, archive.name))

    def _take(self, item: Item, future: Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except (StorageError, WorkersError):
            raise
        except MultifaceError as error:
            self.in_a_row += 1
            self.result.failures[item.request.archive.key] = str(error)
            self.progress.failed += 1
            return
        self.in_a_row = 0
        self.result.add(item, outcome)
        self.progress.archives += 1
        if outcome.size is not None:
            self.sizes.learn(item.request.archive, outcome.size)
            self.progress.expected += outcome.size - item.size.bytes if item.status != "done" else 0

    def _remember(self) -> None:
        self.sizes.save()
        if self.result.received > 10_000_000 and self.result.seconds > 1:
            self.job.state.save("rate.json", {"rate": self.result.received / self.result.seconds})
