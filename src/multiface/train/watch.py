"""What ends a job of several processes when one of them fails or stands still, with the reason told once."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import torch.distributed as dist

from multiface.core.errors import JobError, MultifaceError
from multiface.train.launch import Launch

BEAT = 1.0
"""Seconds between two looks at the store."""
LAST_LOOK = 2 * BEAT
"""Seconds that a process which keeps the store stays after it failed, so that the others can read why."""
GRACE = 15.0
"""Seconds that a process has to end by itself after another one failed."""
CONSEQUENCE = 5.0
"""Seconds that a process whose connection broke waits to learn why."""


class NoWatch:
    """What there is to watch in a job of one process: nothing."""

    def stop(self) -> None:
        """Watch no more."""

    def abandon(self) -> None:
        """The job has failed: should this process not come to its end in time, it is ended."""

    def progress(self, what: str) -> None:
        """This process begins the next thing that all processes do: ``what``, a clause for messages."""

    def alive(self, what: str) -> None:
        """This process goes on with something that takes others more or fewer steps."""

    def told(self, text: str) -> None:
        """All processes know already that the job ends, and why."""

    def failed(self, error: BaseException) -> None:
        """This process ends with ``error``."""


class Watch(NoWatch):
    """A thread in every process of a job that tells the others how far it is and looks how they fare.

    The first process that fails writes its reason where all look; it alone speaks. A process that makes no progress for
    ``timeout`` seconds holds up all others: each of them then looks who is furthest behind, and one says so.

    Args:
        launch: Who this process is.
        store: Where the processes of the job leave their notes; used by this object alone.
        timeout: Seconds without progress after which the job is ended.
    """

    def __init__(self, launch: Launch, store: dist.Store, timeout: float) -> None:
        self._launch = launch
        self._store = store
        self._timeout = timeout
        self._lock = threading.Lock()  # the store's connection serves one request at a time
        self._count = 0
        self._what = "starting"
        self._since = time.monotonic()
        self._told = False
        self._abandoned = False
        self._heard = False
        self._stopped = threading.Event()
        self._asked: float | None = None  # since when the store owes an answer
        self._thread = threading.Thread(target=self._run, name="multiface-watch", daemon=True)
        self._guard = threading.Thread(target=self._watch_store, name="multiface-watch-store", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()
        self._guard.start()

    def stop(self) -> None:
        """Watch no more: the job ends in an orderly way."""
        self._stopped.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def abandon(self) -> None:
        """The job has failed: should this process not come to its end in time, it is ended.

        Libraries that wait for lost processes when Python ends are known to do so for ever.
        """
        self._abandoned = True

    def progress(self, what: str) -> None:
        """This process begins the next thing that all processes do: ``what``, a clause for messages."""
        self._count += 1
        self.alive(what)

    def alive(self, what: str) -> None:
        """This process goes on with something that takes others more or fewer steps."""
        self._what = what
        self._since = time.monotonic()

    def told(self, text: str) -> None:
        """All processes know already that the job ends, and why."""
        self._told = True
        tell_launcher(text)

    def failed(self, error: BaseException) -> None:
        """This process ends with ``error``. Returns when it is the one to say so.

        Raises:
            SystemExit: another process failed first and says why.
            JobError: a connection broke and nobody knows why.
        """
        if self._told or isinstance(error, (SystemExit, KeyboardInterrupt)):
            return
        broken = isinstance(error, dist.DistError) or _is_broken_connection(error)
        if broken and (self._heard or self._wait_for_failure(CONSEQUENCE) is not None):
            raise SystemExit(1) from None
        text = str(error) if isinstance(error, MultifaceError) else f"{type(error).__name__}: {str(error)[:500]}"
        if broken:
            text = (
                f"a process of the job ended without a word (killed, out of memory?). The connection to it broke: {text[:200]}"
            )
        if not self._claim(text):
            raise SystemExit(1) from None
        self._told = True
        self._linger()
        if broken:
            raise JobError(text) from error
        if isinstance(error, MultifaceError):
            error.what = f"on process {self._launch.rank} of {self._launch.world_size}: {error.what}"
            error.args = (error._message(),)

    def _claim(self, text: str) -> bool:
        """Whether this is the first failure of the job, now noted."""
        mine = f"{self._launch.rank} {text}"
        try:
            with self._lock:
                first = self._store.compare_set("failure", "", mine).decode(errors="replace")
        except RuntimeError:  # the store went with the process that kept it
            return self._speaks_without_store() and not self._heard
        if first == mine:
            tell_launcher(text)
        return first == mine

    def _linger(self) -> None:
        """Where the store goes with this process, the others look there once more before."""
        if self._launch.rank == 0 and not self._launch.agent_store:
            time.sleep(LAST_LOOK)

    def _speaks_without_store(self) -> bool:
        """Where nobody can be asked who was first, the first process speaks, or the next one where that kept the store."""
        return self._launch.rank == (0 if self._launch.agent_store else 1)

    def _failure(self) -> str | None:
        with self._lock:
            return self._store.get("failure").decode(errors="replace") if self._store.check(["failure"]) else None

    def _wait_for_failure(self, seconds: float) -> str | None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                failure = self._failure()
            except RuntimeError:
                return None
            if failure is not None:
                return failure
            time.sleep(0.1)
        return None

    def _run(self) -> None:
        beat = min(BEAT, self._timeout / 4)
        while not self._stopped.wait(beat):
            self._asked = time.monotonic()
            try:
                with self._lock:
                    self._store.set(f"at {self._launch.rank}", json.dumps([self._count, self._what]))
                failed, lost = self._failure() is not None, False
                self._heard |= failed
            except RuntimeError:
                failed = lost = True
            self._asked = None
            if self._stopped.is_set():  # while the store was slow to answer: the job ends as it should
                return
            if failed or self._abandoned:
                self._end_after_grace(lost)
                return
            if time.monotonic() - self._since > self._timeout:
                self._end_standstill()

    def _end_after_grace(self, lost: bool) -> None:
        """The main thread usually notices by itself, since its connections break; on a GPU it may wait for ever.

        Args:
            lost: Whether the process that keeps the store does not answer, so that nobody else can have said anything.
        """
        if self._stopped.wait(GRACE):
            return
        if lost:
            self._end_lost()
        else:
            os._exit(1)

    def _watch_store(self) -> None:
        """Where the process that keeps the store stands still, no answer ever comes, and no error either."""
        while not self._stopped.wait(min(BEAT, self._timeout / 4)):
            asked = self._asked
            if asked is not None and time.monotonic() - asked > self._timeout:
                self._end_lost()

    def _end_lost(self) -> None:
        """The store does not answer: nobody else can have said so."""
        if not self._told and self._speaks_without_store():
            keeper = "the launcher" if self._launch.agent_store else "process 0"
            text = f"{keeper}, which the processes of the job meet at, does not answer any more"
            remedy = "Look at it and its machine; --resume goes on from the last checkpoint"
            self._say(JobError(text, where=f"{self._launch.address} port {self._launch.port}", remedy=remedy))
        os._exit(1)

    def _end_standstill(self) -> None:
        notes = self._notes()
        count = min(count for count, _ in notes.values())
        behind = {rank: what for rank, (at, what) in notes.items() if at == count}
        who = ", ".join(f"process {rank}: {what}" for rank, what in sorted(behind.items()))
        error = JobError(
            "a process of the job makes no progress",
            expected=f"something within {self._timeout:.0f} s",
            found=f"furthest behind: {who}",
            remedy="Look at that process and its machine; --resume goes on from the last checkpoint",
        )
        if self._claim(str(error)):
            self._say(error)
            self._linger()
        os._exit(error.exit_status)

    def _say(self, error: JobError) -> None:
        sys.stderr.write(f"multiface: {error}\n")
        sys.stderr.flush()

    def _notes(self) -> dict[int, tuple[int, str]]:
        notes: dict[int, tuple[int, str]] = {self._launch.rank: (self._count, self._what)}
        for rank in range(self._launch.world_size):
            if rank == self._launch.rank:
                continue
            try:
                with self._lock:
                    there = self._store.check([f"at {rank}"])
                    count, what = json.loads(self._store.get(f"at {rank}")) if there else (-1, "never began")
            except RuntimeError:
                continue
            notes[rank] = (count, what)
        return notes


def _is_broken_connection(error: BaseException) -> bool:
    words = ("connection", "gloo", "nccl", "peer", "timed out", "socket")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def tell_launcher(text: str) -> None:
    """Leave the reason where torchrun looks for it, so that its summary gives it."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    note = {"message": {"message": text, "extraInfo": {"py_callstack": text, "timestamp": str(int(time.time()))}}}
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(note), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"multiface: the launcher cannot be told ({error})\n")
