"""From what a verification found broken to what has to be fetched."""

from __future__ import annotations

from multiface.capture.names import entity_of
from multiface.release.member_paths import place_of
from multiface.release.plan import Item, Plan, free_space
from multiface.release.records import Entry, Record
from multiface.release.selection import Request
from multiface.release.sizes import Size
from multiface.release.state import State
from multiface.release.verify import Broken, Verified


def repair_plan(state: State, result: Verified) -> tuple[Plan, dict[str, list[Entry]]]:
    """What to fetch, and the broken members of each archive by its key."""
    items, members = [], {}
    for broken in result.broken:
        request = request_of(broken)
        entries = broken.missing + broken.changed
        size = sum(entry.size for entry in entries)
        stored = sum(entry.on_disk[0] for entry in entries)
        items.append(Item(request, Size(size, True), stored, len(entries), "begun"))
        members[request.archive.key] = entries
    return Plan(state.destination, (), tuple(items), (), free_space(state.destination), 1e6), members


def request_of(broken: Broken) -> Request:
    """The request that gives the members of an archive that are recorded as extracted, should it have to be fetched anew."""
    record: Record = broken.record
    root = next((entry.path.split("/", 1)[0] for entry in record.entries.values()), "")
    archive = broken.archive._replace(root=root if entity_of(root) == broken.archive.entity else "")
    places = [place_of(entry.path, archive, archive.key) for entry in record.extracted]
    if len(record.extracted) == len(record.entries):
        return Request(archive)
    if archive.kind == "audio":
        return Request(archive, segments=frozenset(place.segment for place in places if place.segment))
    return Request(archive, cameras=frozenset(place.camera for place in places if place.camera))
