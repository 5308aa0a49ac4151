"""What a download will do, before it does it: archives, files, bytes, disk, time."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from multiface.core.errors import StorageError
from multiface.release.catalogue import Person
from multiface.release.names import Archive
from multiface.release.selection import Chosen, Request
from multiface.release.sizes import Size, Sizes, estimated_files
from multiface.release.state import State
from multiface.release.transcode import SHARE

ORDER = ("metadata", "audio", "mesh", "textures", "images")
"""In which order the kinds are fetched: a capture can be looked at before its photos are there."""
DEFAULT_RATE = 50e6
"""Bytes a second that the expected time is worked out with when no download has measured another."""
_RANK = {kind: rank for rank, kind in enumerate(ORDER)}
_PLACED = b'{"placed":true}\n'
_MARGIN = 1.02
"""Records, and file systems' own needs."""


class Item(NamedTuple):
    """One archive of a plan.

    Attributes:
        request: The archive and what is wanted of it.
        size: Its bytes on the server.
        stored: About how many bytes of it end up on disk.
        files: About how many files.
        status: ``"new"``, ``"begun"`` or ``"done"``.
    """

    request: Request
    size: Size
    stored: int
    files: int
    status: str

    def to_json(self) -> dict[str, Any]:
        archive = self.request.archive
        return {"name": archive.key, "bytes": self.size.bytes, "known": self.size.known, "status": self.status}


@dataclass(frozen=True)
class Plan:
    """All archives of a selection in the order in which they are fetched."""

    destination: Path
    people: tuple[Person, ...]
    items: tuple[Item, ...]
    notes: tuple[str, ...]
    free: int
    rate: float

    @functools.cached_property
    def left(self) -> list[Item]:
        """What is not done."""
        return [item for item in self.items if item.status != "done"]

    @property
    def bytes(self) -> int:
        """Bytes of all archives."""
        return sum(item.size.bytes for item in self.items)

    @property
    def to_fetch(self) -> int:
        """Bytes of the archives that are not done."""
        return sum(item.size.bytes for item in self.left)

    @property
    def to_store(self) -> int:
        """About how many bytes are written to disk."""
        return sum(item.stored for item in self.left)

    @property
    def known(self) -> bool:
        """Whether no size is an estimate."""
        return all(item.size.known for item in self.left)

    @property
    def seconds(self) -> float:
        return self.to_fetch / self.rate

    def check_disk(self) -> None:
        """Refuse a download that the disk has no room for.

        Raises:
            StorageError: too little is free.
        """
        needed = self.to_store * _MARGIN
        if needed > self.free:
            raise StorageError(
                "the disk has no room for this",
                where=self.destination,
                expected=f"{'' if self.known else 'about '}{human_bytes(needed)} free",
                found=human_bytes(self.free),
                remedy="Choose less (--camera, --segment, --asset), store pictures smaller (--store avif), "
                "take another --dest, or begin anyway with --ignore_free_space",
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "destination": str(self.destination),
            "archives": len(self.items),
            "archives_left": len(self.left),
            "files": sum(item.files for item in self.items),
            "bytes": self.bytes,
            "bytes_left": self.to_fetch,
            "bytes_on_disk": self.to_store,
            "sizes_known": self.known,
            "free_disk": self.free,
            "seconds": self.seconds,
            "rate": self.rate,
            "people": {person: dict(row) for person, row in self.by_person().items()},
            "notes": list(self.notes),
            "list": [item.to_json() for item in self.items],
        }

    def by_person(self) -> Mapping[str, dict[str, int]]:
        """Bytes and archives of each person by kind."""
        rows: dict[str, dict[str, int]] = {person.entity: {"archives": 0, "bytes": 0} for person in self.people}
        for item in self.items:
            row = rows[item.request.archive.entity]
            row["archives"] += 1
            row["bytes"] += item.size.bytes
            row[item.request.archive.kind] = row.get(item.request.archive.kind, 0) + item.size.bytes
        return rows


def make_plan(chosen: Chosen, state: State, sizes: Sizes, *, store: str = "png", rate: float | None = None) -> Plan:
    """Work out a plan from what is on disk; no network.

    Args:
        chosen: The selection.
        state: The destination.
        sizes: What is known of sizes.
        store: Format that pictures are stored in.
        rate: Bytes a second, for the expected time; that of the last download to this destination when absent.
    """
    items = list(_items(chosen, state, sizes, store))
    items.sort(key=lambda item: _RANK[item.request.archive.kind])
    measured = state.load("rate.json").get("rate")
    usable = isinstance(measured, (int, float)) and measured > 0
    speed = rate or (float(measured) if usable and measured else DEFAULT_RATE)
    return Plan(state.destination, chosen.people, tuple(items), chosen.notes, free_space(state.destination), speed)


def _recorded(state: State) -> dict[str, set[str]]:
    """Names of the records of each person: one listing instead of a question for each archive."""
    folders = (state.folder / "records").glob("*")
    return {folder.name: {path.name for path in folder.iterdir()} for folder in folders if folder.is_dir()}


def _items(chosen: Chosen, state: State, sizes: Sizes, store: str) -> Iterator[Item]:
    people = {person.entity: person for person in chosen.people}
    recorded = _recorded(state)
    counts: dict[tuple[str, str, bool], int] = {}  # about as many files in all archives of a kind: a plan may have 87,000
    for request in chosen.requests:
        archive, share = request.archive, request.share
        size = sizes.get(archive, people[archive.entity])
        like = archive.entity, archive.kind, archive.camera is None
        if like not in counts:
            counts[like] = estimated_files(archive, people[archive.entity])
        kept = share * SHARE[store] if archive.kind in ("images", "textures") else share
        status = _status(archive, state, recorded) if recorded else "new"
        yield Item(request, size, round(size.bytes * kept), round(counts[like] * share) or 1, status)


def _status(archive: Archive, state: State, recorded: dict[str, set[str]]) -> str:
    path = state.record(archive)
    if path.name not in recorded.get(archive.entity, ()):
        return "new"
    return "done" if _is_placed(path) else "begun"


def _is_placed(path: Path) -> bool:
    """Whether the record says last that all is in place; the whole record of an archive can be long."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - len(_PLACED), 0))
        return file.read() == _PLACED


def free_space(folder: Path) -> int:
    """Bytes that are free where ``folder`` is or will be."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def human_bytes(count: float) -> str:
    """``1234567`` -> ``"1.23 MB"``, in decimal units as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return f"{count:.3g} TB" if abs(count) < 1000 else f"{count:,.0f} TB"


def human_seconds(seconds: float) -> str:
    """``4000`` -> ``"1 h 7 min"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"
