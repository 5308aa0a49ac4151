"""What is on disk against what was recorded when it was extracted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from multiface.core.parallel import default_workers, ordered_map
from multiface.release.names import Archive
from multiface.release.records import Entry, Record, read_record
from multiface.release.resume import is_whole
from multiface.release.state import State


@dataclass
class Broken:
    """An archive of which files are missing or broken.

    Attributes:
        archive: The archive.
        record: Its record.
        missing: Members that are not there.
        changed: Members whose size or content is another one.
    """

    archive: Archive
    record: Record
    missing: list[Entry] = field(default_factory=list)
    changed: list[Entry] = field(default_factory=list)


@dataclass
class Verified:
    """Result of a verification.

    Attributes:
        archives, files, bytes: What was looked at.
        broken: Archives with something wrong.
        unfinished: Archives that were begun and are not complete.
    """

    archives: int = 0
    files: int = 0
    bytes: int = 0
    broken: list[Broken] = field(default_factory=list)
    unfinished: list[Archive] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.broken and not self.unfinished

    def to_json(self) -> dict[str, Any]:
        return {
            "archives": self.archives,
            "files": self.files,
            "bytes": self.bytes,
            "missing": [entry.path for broken in self.broken for entry in broken.missing],
            "changed": [entry.path for broken in self.broken for entry in broken.changed],
            "unfinished": [archive.key for archive in self.unfinished],
        }


def verify(
    state: State,
    archives: Iterable[Archive],
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Verified:
    """Read every recorded file of ``archives`` and compare size and hash; archives without record are passed over.

    Args:
        state: The destination.
        archives: What to look at.
        stop: Ends the work early when it is set.
        progress: Called with the number of bytes after each archive.
    """
    result = Verified()

    def one(archive: Archive) -> tuple[Archive, Record, Broken]:
        record = read_record(state.record(archive))
        broken = Broken(archive, record)
        if record.placed and not (stop is not None and stop.is_set()):
            for entry in record.extracted:
                path = state.final(entry.path)
                if not path.is_file():
                    broken.missing.append(entry)
                elif not is_whole(path, entry, reread=True):
                    broken.changed.append(entry)
        return archive, record, broken

    for archive, record, broken in ordered_map(one, archives, workers=default_workers()):
        if record.begin is None:
            continue
        if not record.placed:
            result.unfinished.append(archive)
            continue
        count = sum(entry.on_disk[0] for entry in record.extracted)
        result.archives += 1
        result.files += len(record.extracted)
        result.bytes += count
        if broken.missing or broken.changed:
            result.broken.append(broken)
        progress(count)
    return result
