"""Where a member of an archive goes. Names come from the server and are never trusted."""

from __future__ import annotations

from typing import NamedTuple

from multiface.capture.names import entity_of, is_safe_name
from multiface.release.errors import RefusedArchiveError
from multiface.release.names import FOLDERS, Archive

_DEEPEST = 8
_LONGEST = 400


class Place(NamedTuple):
    """Where a member belongs: ``path`` below the destination (with ``/``), and whose it is."""

    path: str
    camera: str | None
    segment: str | None


def place_of(name: str, archive: Archive, where: str) -> Place:
    """The place of the member ``name`` of ``archive``.

    Paths begin with the name of the capture folder. Photos, textures, meshes and sounds may only go to their own folders,
    and only to those of the segment and camera that the archive is named after.

    Raises:
        RefusedArchiveError: anything else; names the archive and the member.
    """
    parts = name.split("/")
    while len(parts) > 1 and parts[0] == ".":
        parts = parts[1:]
    problem = _problem(name, parts, archive)
    if problem:
        raise RefusedArchiveError(f"archive refused: member {name[:200]!a} {problem}", where=where)
    camera = segment = None
    if archive.kind in ("images", "textures"):
        segment, camera = parts[2], parts[3]
    elif archive.kind == "mesh":
        segment = parts[2]
    elif archive.kind == "audio":
        segment = parts[-1].rsplit(".", 1)[0]
    return Place("/".join(parts), camera, segment)


def _problem(name: str, parts: list[str], archive: Archive) -> str:
    if name.startswith(("/", "\\")):
        return "has an absolute path"
    if ".." in parts:
        return "leads out of its folder"
    if not all(map(is_safe_name, parts)) or len(name) > _LONGEST or len(parts) > _DEEPEST or not _is_text(name):
        return "has a name that cannot be a file of a capture"
    if parts[0] != archive.root and (archive.root or entity_of(parts[0]) != archive.entity):
        return f"is not in the folder {archive.root or f'of {archive.entity}'}"
    return _wrong_folder(parts, archive)


def _wrong_folder(parts: list[str], archive: Archive) -> str:
    """What is wrong with a path inside the capture folder."""
    if archive.kind == "metadata":
        return "is not beside the KRT" if len(parts) < 2 or parts[1] in FOLDERS.values() else ""
    expected = [parts[0], FOLDERS[archive.kind]]
    if archive.kind != "audio":
        expected.append(archive.segment or "")
    if archive.kind in ("images", "textures"):
        expected.append(archive.camera or (parts[3] if len(parts) > 3 else ""))
    if parts[:-1] != expected:
        return f"is not in the folder {'/'.join(expected)}"
    return ""


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
