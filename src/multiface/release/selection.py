"""From names that the user chose to the archives that hold them, and which of their members are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from multiface.capture.names import AVERAGE
from multiface.core.errors import ArgumentError
from multiface.release.catalogue import Person, archives
from multiface.release.matching import match_names, matches, suggestion
from multiface.release.names import Archive
from multiface.release.published_config import PublishedConfig

ASSETS = ("images", "textures", "average", "mesh", "audio", "metadata")
"""What can be chosen. ``average`` are the textures averaged over cameras, ``textures`` those of each camera."""


@dataclass(frozen=True)
class Selection:
    """What the user asked for; empty means everything.

    Attributes:
        entities: Ids or globs.
        segments: Names or globs. Audio is then that of these segments only.
        cameras: Names or globs; they choose photos and textures.
        assets: Some of ``ASSETS``.
        config: A published configuration, which the other fields narrow down.
    """

    entities: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    config: PublishedConfig | None = None

    @property
    def is_everything(self) -> bool:
        return not (self.entities or self.segments or self.cameras or self.assets or self.config)


class Request(NamedTuple):
    """One archive and what is wanted of it.

    Attributes:
        archive: The archive.
        cameras: Cameras (``"average"`` among them) whose members are extracted; ``None`` for all members.
        segments: Segments whose members are extracted; ``None`` for all.
        share: About what share of the archive's bytes is extracted, 0..1.
    """

    archive: Archive
    cameras: frozenset[str] | None = None
    segments: frozenset[str] | None = None
    share: float = 1.0

    def wants(self, camera: str | None, segment: str | None) -> bool:
        """Whether a member that belongs to ``camera`` and ``segment`` is to be extracted."""
        return (self.cameras is None or camera in self.cameras) and (self.segments is None or segment in self.segments)


@dataclass(frozen=True)
class Chosen:
    """A selection worked out against the catalogue.

    Attributes:
        people: Chosen people.
        requests: Archives, each once.
        notes: What was asked for and is not there for somebody, as sentences.
    """

    people: tuple[Person, ...]
    requests: tuple[Request, ...]
    notes: tuple[str, ...] = field(default=())


def choose(selection: Selection, people: Mapping[str, Person]) -> Chosen:
    """Work out a selection.

    Raises:
        ArgumentError: a name matches nothing anywhere (the nearest is suggested), or nothing is left.
    """
    assets = frozenset(match_names(selection.assets, ASSETS, what="asset", option="--asset"))
    chosen = _people(selection, people)
    segments = match_names(
        selection.segments, (name for person in chosen for name in person.segments), what="segment", option="--segment"
    )
    cameras = match_names(
        selection.cameras, (name for person in chosen for name in person.cameras), what="camera", option="--camera"
    )
    filters = frozenset(segments) if selection.segments else None, frozenset(cameras) if selection.cameras else None
    requests = [request for person in chosen for request in _requests(person, selection, assets, *filters)]
    if not requests:
        raise ArgumentError(
            "nothing is left of the release after this selection",
            found=", ".join(_described(selection)) or "an empty configuration",
            remedy="Choose less narrowly; multiface download --list shows what there is",
        )
    # what nobody has was refused above, so with everybody chosen there is nothing to note
    config = None if len(chosen) == len(people) else selection.config
    notes = [*_config_notes(config, chosen), *_absent(selection, chosen, filters[1])]
    return Chosen(tuple(chosen), tuple(requests), tuple(notes))


def _people(selection: Selection, people: Mapping[str, Person]) -> list[Person]:
    names: Sequence[str] = list(people)
    if selection.config is not None:
        where = str(selection.config.path)
        names = match_names(selection.config.entities, names, what="person", option=where)
        if not selection.config.entities:
            raise ArgumentError("the configuration names no entity", where=where)
        if selection.config.expressions:
            _check_expressions(selection.config, people)
    return [people[name] for name in match_names(selection.entities, names, what="person", option="--entity")]


def _requests(
    person: Person,
    selection: Selection,
    assets: frozenset[str],
    segments: frozenset[str] | None,
    cameras: frozenset[str] | None,
) -> Iterable[Request]:
    own = frozenset(person.cameras)
    wanted = {
        "images": own if cameras is None else own & cameras,
        "textures": ((own if cameras is None else own & cameras) if "textures" in assets else frozenset())
        | (frozenset({AVERAGE}) if "average" in assets else frozenset()),
    }
    everything = {"images": own, "textures": own | {AVERAGE}}
    kinds = assets | ({"textures"} if "average" in assets else set())
    for archive in archives(person):
        if archive.kind not in kinds or (selection.config and not selection.config.takes(archive.name)):
            continue
        if archive.segment is not None and segments is not None and archive.segment not in segments:
            continue
        if archive.kind == "audio":
            yield from _audio(archive, person, segments)
        elif archive.kind not in wanted:
            yield Request(archive)
        elif archive.camera is not None:
            if archive.camera in wanted[archive.kind]:
                yield Request(archive)
        elif wanted[archive.kind] == everything[archive.kind]:
            yield Request(archive)
        elif wanted[archive.kind]:
            share = len(wanted[archive.kind]) / max(len(everything[archive.kind]), 1)
            yield Request(archive, cameras=wanted[archive.kind], share=share)


def _audio(archive: Archive, person: Person, segments: frozenset[str] | None) -> Iterable[Request]:
    """There is sound of sentences only, all in one archive."""
    spoken = {name for name in person.segments if name.startswith("SEN_")}
    if segments is None or not spoken:
        yield Request(archive)
    elif spoken & segments:
        yield Request(archive, segments=frozenset(spoken & segments), share=len(spoken & segments) / len(spoken))


def _check_expressions(config: PublishedConfig, people: Mapping[str, Person]) -> None:
    """An entry that nobody's archives match is a mistake; one that only these people lack is not."""
    names = _all_names(people.values())
    for entry in config.expressions:
        if entry not in names:
            segments = sorted({name for person in people.values() for name in person.segments})
            raise ArgumentError(
                f"expression {entry!r} matches no archive of anybody",
                where=config.path,
                remedy=f"{suggestion(entry, segments)}. Correct or remove it",
            )


def _config_notes(config: PublishedConfig | None, people: Sequence[Person]) -> Iterable[str]:
    if config is None:
        return
    names = _all_names(people)
    unmatched = [entry for entry in config.expressions if entry not in names]
    if unmatched:
        yield f"{len(unmatched)} expressions of {config.path.name} match nothing of these people: {_some(unmatched)}"


def _all_names(people: Iterable[Person]) -> str:
    """All archive names in one text: looking for a part of any of them there takes milliseconds."""
    return "\n".join(archive.name for person in people for archive in archives(person))


def _absent(selection: Selection, people: Sequence[Person], cameras: frozenset[str] | None) -> Iterable[str]:
    for person in people:
        lacking = [pattern for pattern in selection.segments if not matches(pattern, person.segments)]
        if lacking:
            yield f"{person.entity} has no segment {_some(lacking)}"
        if cameras is not None and not cameras & set(person.cameras):
            yield f"{person.entity} has none of these cameras"
        else:
            missing = [pattern for pattern in selection.cameras if not matches(pattern, person.cameras)]
            if missing:
                yield f"{person.entity} has no camera {_some(missing)}"


def _described(selection: Selection) -> Iterable[str]:
    for name in ("entities", "segments", "cameras", "assets"):
        values = getattr(selection, name)
        if values:
            yield f"{name} {' '.join(values)}"
    if selection.config is not None:
        yield f"configuration {selection.config.path}"


def _some(names: Sequence[str], count: int = 4) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} others" if len(names) > count else "")
