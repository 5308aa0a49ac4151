"""Which files of a placed archive are there, by name, from one listing of each folder."""

from __future__ import annotations

import os
from pathlib import Path

from multiface.release.member_paths import place_of
from multiface.release.records import Entry, Record
from multiface.release.selection import Request
from multiface.release.state import State


def wanted_entries(request: Request, record: Record) -> list[Entry]:
    """Members that a request wants, on disk or not."""
    return [entry for entry in record.entries.values() if _wanted(request, entry)]


def missing_files(state: State, request: Request, record: Record) -> list[Entry]:
    """Members that a request wants and that are not there under their names (sizes and content are not looked at)."""
    folders: dict[Path, frozenset[str]] = {}
    missing = []
    for entry in wanted_entries(request, record):
        final = state.final(entry.path)
        if final.parent not in folders:
            folders[final.parent] = _names(final.parent)
        if entry.number is None or final.name not in folders[final.parent]:
            missing.append(entry)
    return missing


def _wanted(request: Request, entry: Entry) -> bool:
    place = place_of(entry.path, request.archive, request.archive.key)
    return request.wants(place.camera, place.segment)


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - a million names, and no need for paths of them
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
