"""One job at a time writes to a run folder."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import IO

from multiface.core.errors import ArgumentError
from multiface.core.files import storage_errors
from multiface.core.lock import take_lock

NAME = "lock.json"


class RunLock:
    """Holds a run folder for this process until :meth:`release`, or until the process ends, however it ends.

    The operating system keeps the lock, so that a job that was killed leaves none behind, on this machine or (with file
    systems that share locks) on another. Where the file system has no locks, the process named in the file decides: one that
    does not live on this machine any more is taken over. On Windows nothing is locked.

    Args:
        folder: The run folder, which exists.
        job: Name of the job, by which its launcher's next attempt recognises the folder as its own.

    Attributes:
        previous_job: Name of the job that held the folder last, None when none did or it had no name.

    Raises:
        ArgumentError: another live job holds it.
    """

    def __init__(self, folder: Path, job: str | None = None) -> None:
        path = folder / NAME
        with storage_errors(path):
            file = path.open("a+", encoding="utf-8")
        file.seek(0)
        held_by = _parse(file.read(4096))
        if not _take(file, held_by):
            file.close()
            raise ArgumentError(
                "another job that is still running writes to this run folder",
                where=folder,
                found=f"process {held_by.get('process', '?')} on {held_by.get('host', 'an unknown machine')}",
                remedy="Choose another --result_path, or wait for it to end",
            )
        self.previous_job: str | None = held_by.get("job")
        self._file: IO[str] | None = file
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid(), "job": job}))
        file.flush()

    def release(self) -> None:
        """Let others have the folder; the file stays, and tells who was here last."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _take(file: IO[str], held_by: dict) -> bool:
    taken = take_lock(file.fileno())
    if taken is None:  # no locks there; and on Windows asking whether a process lives would interrupt it
        return os.name == "nt" or not _lives(held_by)
    return taken


def _lives(held_by: dict) -> bool:
    if held_by.get("host") != socket.gethostname() or held_by.get("process") == os.getpid():
        return False
    try:
        os.kill(int(held_by["process"]), 0)
    except (ProcessLookupError, KeyError, ValueError, TypeError):
        return False
    except PermissionError:
        return True
    return True


def _parse(text: str) -> dict:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def last_job(folder: Path) -> str | None:
    """Name of the job that held the folder last, None when none did or it had no name."""
    try:
        with (folder / NAME).open(encoding="utf-8") as file:
            return _parse(file.read(4096)).get("job")
    except OSError:
        return None
