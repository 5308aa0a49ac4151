"""People whom a server has and the catalogue does not know: their archives are those of ``index.html``."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from multiface.capture.names import AVERAGE
from multiface.release.catalogue import Person
from multiface.release.errors import MissingFileError
from multiface.release.names import Archive, is_entity, parse_archive_name
from multiface.release.network import Server

_LARGEST = 64 << 20
_MOST = 1_000_000


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href") if tag == "a" else None
        if address and len(self.names) < _MOST:
            self.names[unquote(urlsplit(address.strip()).path).rsplit("/", 1)[-1]] = None


def listed_person(server: Server, entity: str) -> Person | None:
    """A person as the server's own page lists it; ``None`` when the server knows no such person, or lists no archives.

    Only the names at the end of its links are used, and of these only those that are names of archives.

    Raises:
        TransferError: the server cannot be asked.
    """
    if not is_entity(entity):
        return None
    try:
        page = server.small_file(f"{entity}/index.html", _LARGEST)
    except MissingFileError:
        return None
    links = _Links()
    links.feed(page.decode("utf-8", "replace"))
    found = [(name, parsed) for name in links.names if (parsed := parse_archive_name(name)) is not None]
    if not found:
        return None
    archives = tuple(Archive(entity, "", name, *parsed) for name, parsed in found)
    return Person(
        entity=entity,
        root="",
        rig=0,
        frames=0,
        bytes_of={},
        models=False,
        cameras=tuple(sorted({a.camera for a in archives if a.camera is not None} - {AVERAGE})),
        segments=tuple(sorted({a.segment for a in archives if a.segment is not None})),
        split_images=frozenset(a.segment for a in archives if a.segment and a.camera and a.kind == "images"),
        split_textures=frozenset(a.segment for a in archives if a.segment and a.camera and a.kind == "textures"),
        listed=archives,
    )
