"""Checkpoints of a run: written by a thread while training goes on, whole or absent, and checked when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from multiface.core.errors import CheckpointError
from multiface.core.files import write_text
from multiface.models import ModelInfo
from multiface.models.own_file import write_own_file
from multiface.train.run_folder import RunFolder
from multiface.train.snapshot import Snapshot
from multiface.train.state import write_state

BLOCK = 4 << 20


class Checkpoints:
    """The training states in a run folder, and the models beside them.

    A state is a pair of files: ``states/<iteration>.safetensors``, and ``states/<iteration>.json`` with its length and
    SHA-256, which is written last; a state without it was never finished. The last ``keep`` pairs stay.

    Args:
        folder: The run folder.
        keep: How many states to keep.
    """

    def __init__(self, folder: RunFolder, keep: int = 2) -> None:
        self._folder = folder
        self._keep = keep
        self._writer: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def save(self, tree: Mapping[str, Any], model_files: Mapping[Path, ModelInfo]) -> None:
        """Write the state ``tree``, and its ``"model"`` to each of the model files, in the background.

        When this returns the training may change every tensor of ``tree``. One save at a time: this waits for the last one.

        Args:
            tree: See :func:`multiface.train.state.write_state`; ``tree["position"]["iteration"]`` names the files.
            model_files: Where to put the model as well, and what it carries there.

        Raises:
            StorageError: the previous save failed.
        """
        self.wait()
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="multiface-checkpoint")
        self._pending = self._writer.submit(self._write, Snapshot.of(tree), dict(model_files))

    def wait(self) -> None:
        """Until everything given to :meth:`save` is on the disk.

        Raises:
            StorageError: it could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Finish writing and end the thread; a failure that :meth:`wait` did not raise stays unsaid."""
        if self._writer is not None:
            self._writer.shutdown(wait=True)
            self._writer = None

    def _write(self, snapshot: Snapshot, model_files: dict[Path, ModelInfo]) -> None:
        with snapshot.beside_training():
            self._write_tree(snapshot.on_cpu(), model_files)

    def _write_tree(self, tree: dict[str, Any], model_files: dict[Path, ModelInfo]) -> None:
        path = self._folder.states / f"{tree['position']['iteration']:08d}.safetensors"
        write_state(path, tree)
        note = {"file": path.name, "bytes": path.stat().st_size, "sha256": _digest(path), **tree["position"]}
        write_text(path.with_suffix(".json"), json.dumps(note) + "\n")
        for model_path, info in model_files.items():
            write_own_file(model_path, tree["model"], info)
        for old in self._numbered()[self._keep :]:
            old.unlink(missing_ok=True)
            old.with_suffix(".safetensors").unlink(missing_ok=True)

    def _numbered(self) -> list[Path]:
        """The notes of all finished states, newest first."""
        return sorted(self._folder.states.glob("*.json"), reverse=True)

    def newest(self) -> tuple[Path, list[str]]:
        """The newest state that is whole, and what was wrong with those newer than it.

        Raises:
            CheckpointError: there is none.
        """
        complaints: list[str] = []
        for note in self._numbered():
            path = note.with_suffix(".safetensors")
            complaint = _complaint(note, path)
            if complaint is None:
                return path, complaints
            complaints.append(f"{path.name} {complaint}")
        raise CheckpointError(
            "no training state of this run can be read",
            where=self._folder.states,
            found="; ".join(complaints) or "none",
            remedy="Start from the weights instead: --model_ckpt with the model.safetensors beside it",
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _complaint(note: Path, path: Path) -> str | None:
    """What is wrong with a state, None when its file is as long as and has the digest that the note says."""
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        length, digest = said["bytes"], said["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return "has an unreadable note"
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != length:
        return f"is cut off ({path.stat().st_size} of {length} bytes)"
    return None if _digest(path) == digest else "is damaged (its SHA-256 differs)"
