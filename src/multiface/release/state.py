"""The folder ``.multiface`` in the destination: records, files on their way, and a lock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from multiface.core.errors import StorageError
from multiface.core.files import make_folder, storage_errors, write_text
from multiface.core.lock import folder_lock
from multiface.release.names import Archive, is_entity, parse_archive_name

FOLDER = ".multiface"


class State:
    """Paths of everything that a destination remembers. Nothing is created until :meth:`open`."""

    def __init__(self, destination: str | Path) -> None:
        self.destination = Path(destination)
        self.folder = self.destination / FOLDER

    def open(self) -> None:
        """Create the folder and prove that it can be written to."""
        try:
            make_folder(self.folder)
        except StorageError:
            raise
        except OSError as error:  # system folders have reasons of their own
            raise StorageError(
                f"cannot be written: {error.strerror}", where=self.folder, remedy="Choose another --dest"
            ) from error

    def record(self, archive: Archive) -> Path:
        return self.folder / "records" / archive.entity / f"{archive.name.removesuffix('.tar')}.jsonl"

    def staging(self, archive: Archive) -> Path:
        """Folder of the files of an archive that is being fetched."""
        return self.folder / "staging" / archive.entity / archive.name.removesuffix(".tar")

    def kept(self, archive: Archive) -> Path:
        """Where the archive itself is kept when the user wants that."""
        return self.destination / "archives" / archive.entity / archive.name

    def final(self, path: str) -> Path:
        return self.destination / path

    def forget(self, archive: Archive) -> None:
        """Remove everything of an archive that is not final."""
        with storage_errors(self.staging(archive)):
            shutil.rmtree(self.staging(archive), ignore_errors=True)
            self.record(archive).unlink(missing_ok=True)

    def recorded(self) -> Iterator[Archive]:
        """Every archive that has a record."""
        for folder in sorted((self.folder / "records").glob("*")):
            for path in sorted(folder.glob("*.jsonl")):
                name = path.name.removesuffix(".jsonl") + ".tar"
                parsed = parse_archive_name(name)
                if parsed is not None and is_entity(folder.name):
                    yield Archive(folder.name, "", name, *parsed)

    def load(self, name: str) -> dict[str, Any]:
        """A small JSON file of the folder; empty when it is absent or damaged, since it only saves work."""
        with suppress(OSError, ValueError):
            content = json.loads((self.folder / name).read_text(encoding="utf-8"))
            if isinstance(content, dict):
                return content
        return {}

    def save(self, name: str, content: dict[str, Any]) -> None:
        write_text(self.folder / name, json.dumps(content) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second process from working in the same destination; the system lets go of it however this one ends.

        Raises:
            StorageError: another process is at work there.
        """
        with folder_lock(self.folder, "downloading to", shown=self.destination):
            yield
