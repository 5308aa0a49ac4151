"""How large archives are: as the server says, remembered, or estimated from the published table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from multiface.release.catalogue import Person
from multiface.release.errors import MissingFileError, Stopped, TransferError
from multiface.release.names import Archive
from multiface.release.network import Server
from multiface.release.state import State

FILE = "sizes.json"
_AUDIO, _METADATA = 100_000_000, 10_000_000
"""Guesses; the published table does not tell."""
_SAVED_EVERY = 500


class Size(NamedTuple):
    """Bytes of an archive, and whether they are known and not estimated."""

    bytes: int
    known: bool


def estimated_size(archive: Archive, person: Person) -> int:
    """The share of one archive in the published size of its kind, as if all segments were of the same length."""
    if archive.kind == "audio":
        return _AUDIO
    if archive.kind == "metadata":
        return _METADATA
    cameras = len(person.cameras) + (archive.kind == "textures")
    parts = len(person.segments) * (cameras if archive.camera is not None and archive.kind != "mesh" else 1)
    return person.bytes_of.get(archive.kind, 0) // max(parts, 1)


def estimated_files(archive: Archive, person: Person) -> int:
    """About how many files are in an archive."""
    frames = max(person.frames // max(len(person.segments), 1), 1)
    if archive.kind in ("audio", "metadata"):
        return 50 if archive.kind == "audio" else 6
    if archive.kind == "mesh":
        return 3 * frames
    cameras = len(person.cameras) + (archive.kind == "textures")
    return frames * (1 if archive.camera is not None else cameras)


class Sizes:
    """Sizes that the server told at some time, kept in the destination."""

    def __init__(self, state: State) -> None:
        self._state = state
        content = state.load(FILE)
        self._known = {key: size for key, size in content.items() if isinstance(size, int) and size >= 0}
        self._estimates: dict[tuple[str, str, bool], Size] = {}  # the same for all archives of a kind

    def __len__(self) -> int:
        return len(self._known)

    def get(self, archive: Archive, person: Person) -> Size:
        known = self._known.get(archive.key) if self._known else None
        if known is not None:
            return Size(known, True)
        like = archive.entity, archive.kind, archive.camera is None
        if like not in self._estimates:
            self._estimates[like] = Size(estimated_size(archive, person), False)
        return self._estimates[like]

    def learn(self, archive: Archive, size: int) -> None:
        self._known[archive.key] = size

    def unknown(self, archives: Iterable[Archive]) -> list[Archive]:
        return [archive for archive in archives if archive.key not in self._known]

    def save(self) -> None:
        self._state.save(FILE, self._known)

    def ask(self, server: Server, archives: Iterable[Archive], progress: Callable[[int, int], None] | None = None) -> list[str]:
        """Ask the server for the sizes that are not known, several at a time; returns the keys of those it does not have.

        Raises:
            TransferError: the server cannot be reached. What was learnt before is kept.
        """
        archives = self.unknown(archives)
        missing: list[str] = []

        def one(archive: Archive) -> None:
            try:
                size, _ = server.size(archive.key)
            except MissingFileError:
                missing.append(archive.key)
                return
            if size is not None:
                self.learn(archive, size)

        executor = ThreadPoolExecutor(server.network.connections, thread_name_prefix="multiface")
        try:
            for done, _ in enumerate(executor.map(one, archives), 1):
                if progress is not None:
                    progress(done, len(archives))
                if done % _SAVED_EVERY == 0:
                    self.save()
        except (TransferError, Stopped, KeyboardInterrupt):
            server.stop.set()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
            if archives:
                self.save()
        return missing
