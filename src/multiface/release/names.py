"""Names of the archives on the server."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from multiface.capture.names import AVERAGE

Kind = Literal["images", "textures", "mesh", "audio", "metadata"]

FOLDERS: dict[str, str] = {
    "images": "images",
    "textures": "unwrapped_uv_1024",
    "mesh": "tracked_mesh",
    "audio": "audio",
}
"""Kind of archive -> the folder of the capture that its files are in; those of ``metadata`` are beside the KRT."""

_KINDS: dict[str, Kind] = {"images": "images", "unwrapped_uv_1024": "textures", "tracked_mesh": "mesh"}
_PATTERN = re.compile(r"(images|unwrapped_uv_1024|tracked_mesh)--(.+?)(?:_cam(\d{6}|average))?\.tar", re.ASCII)
_PERSON = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]{1,150}", re.ASCII)


class Archive(NamedTuple):
    """One archive of one person.

    Attributes:
        entity: Id of the person.
        root: Name of the capture folder that its paths begin with; ``""`` when the list does not tell.
        name: File name on the server.
        kind: What is in it.
        segment: Segment; ``None`` for audio and metadata.
        camera: Camera, or ``"average"``; ``None`` when it holds all of them, or none.
    """

    entity: str
    root: str
    name: str
    kind: Kind
    segment: str | None
    camera: str | None

    @property
    def key(self) -> str:
        """``"entity/name"``: unique, and the address below the base address."""
        return f"{self.entity}/{self.name}"


def archive_name(kind: Kind, segment: str | None = None, camera: str | None = None) -> str:
    """Name of an archive, for example ``images--E002_Swallow_cam400004.tar``."""
    if kind in ("audio", "metadata"):
        return f"{kind}.tar"
    suffix = "" if camera is None else f"_cam{camera}"
    return f"{FOLDERS[kind]}--{segment}{suffix}.tar"


def parse_archive_name(name: str) -> tuple[Kind, str | None, str | None] | None:
    """(kind, segment, camera) of an archive's name; ``None`` for anything else, and for names that are no plain names."""
    if name == "audio.tar":
        return "audio", None, None
    if name == "metadata.tar":
        return "metadata", None, None
    match = _PATTERN.fullmatch(name)
    if match is None or not _SEGMENT.fullmatch(match[2]) or match[2].startswith("."):
        return None
    kind = _KINDS[match[1]]
    split = {"images": match[3] != AVERAGE, "textures": True, "mesh": match[3] is None}[kind]
    return (kind, match[2], match[3]) if split else None


def is_entity(text: str) -> bool:
    """Whether ``text`` can be the id of a person, and so part of an address and of a path."""
    return _PERSON.fullmatch(text) is not None
