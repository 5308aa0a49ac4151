"""What the public release holds: 13 people, their segments and cameras, and how the server cuts them into archives.

The catalogue is a small file in the package, made by ``tools/make_catalogue.py`` from the public lists of file names. It
holds names and ids only; the captures themselves are licensed under CC BY-NC 4.0 and come from the server.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from multiface.capture.names import AVERAGE
from multiface.release.names import Archive, Kind, archive_name
from multiface.release.ranges import positions_from_text


@dataclass(frozen=True)
class Person:
    """One person of the release.

    Attributes:
        entity: Id, a string (leading zeros matter).
        root: Name of the capture folder.
        rig: 1 or 2, the generation of the capture system; 0 when not known.
        frames: About how many frames there are.
        bytes_of: Published size of all ``images``, ``textures`` (averages included) and ``mesh`` archives.
        models: Whether networks of this person were published.
        cameras: Names of the colour cameras.
        segments: Names of the segments.
        split_images: Segments whose photos are one archive for each camera.
        split_textures: Segments whose textures are one archive for each camera and one for the average.
        listed: The archives themselves, for a person whom a server lists and the catalogue does not know.
    """

    entity: str
    root: str
    rig: int
    frames: int
    bytes_of: Mapping[str, int]
    models: bool
    cameras: tuple[str, ...]
    segments: tuple[str, ...]
    split_images: frozenset[str]
    split_textures: frozenset[str]
    listed: tuple[Archive, ...] | None = field(default=None, repr=False)

    def is_split(self, kind: Kind, segment: str) -> bool:
        """Whether the archives of a segment are one for each camera."""
        return segment in (self.split_images if kind == "images" else self.split_textures if kind == "textures" else ())


@dataclass(frozen=True)
class Catalogue:
    """People by entity, in the published order."""

    people: Mapping[str, Person]

    @property
    def segments(self) -> tuple[str, ...]:
        """Every segment of anybody, sorted."""
        return tuple(sorted({name for person in self.people.values() for name in person.segments}))


def archives(person: Person) -> Iterator[Archive]:
    """Every archive of a person: metadata and audio, then segment by segment meshes, textures and photos."""
    if person.listed is not None:
        yield from person.listed
        return
    whole: tuple[Kind, ...] = ("metadata", "audio")
    split: tuple[tuple[Kind, tuple[str, ...]], ...] = (("textures", (AVERAGE, *person.cameras)), ("images", person.cameras))
    for kind in whole:
        yield Archive(person.entity, person.root, archive_name(kind), kind, None, None)
    for segment in person.segments:
        yield Archive(person.entity, person.root, archive_name("mesh", segment), "mesh", segment, None)
        for kind, cameras in split:
            for camera in cameras if person.is_split(kind, segment) else (None,):
                yield Archive(person.entity, person.root, archive_name(kind, segment, camera), kind, segment, camera)


def archive_names(person: Person) -> list[str]:
    """Names of every archive of a person."""
    return [archive.name for archive in archives(person)]


@functools.cache
def load_catalogue() -> Catalogue:
    """The catalogue in the package."""
    text = resources.files("multiface.release").joinpath("catalogue.json").read_text(encoding="utf-8")
    return catalogue_from_json(json.loads(text))


def catalogue_from_json(content: dict[str, Any]) -> Catalogue:
    """A catalogue from the content of its file."""
    people = [_person(entry, content["segments"]) for entry in content["people"]]
    return Catalogue({person.entity: person for person in people})


def _person(entry: dict[str, Any], segments: list[str]) -> Person:
    def names(key: str) -> list[str]:
        return [segments[position] for position in positions_from_text(entry[key])]

    return Person(
        entity=entry["entity"],
        root=entry["root"],
        rig=entry["rig"],
        frames=entry["frames"],
        bytes_of={kind: entry[f"{kind}_bytes"] for kind in ("images", "textures", "mesh")},
        models=entry["models"],
        cameras=tuple(f"{number:06d}" for number in positions_from_text(entry["cameras"])),
        segments=tuple(names("segments")),
        split_images=frozenset(names("split_images")),
        split_textures=frozenset(names("split_textures")),
    )
