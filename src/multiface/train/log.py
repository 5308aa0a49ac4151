"""The record of a run: TensorBoard events with the published tags, and one JSON line per logged update."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multiface.core.files import write_text

TENSORBOARD_NAMES = {"tex": "loss_tex", "verts": "loss_verts", "screen": "loss_screen", "kl": "loss_kl"}


class RunLog:
    """Appends loss values to ``losses.jsonl`` and to TensorBoard.

    Args:
        path: The JSON lines file; TensorBoard events go into its folder.
        start: Updates already done; later lines of an interrupted run are dropped so that none stands twice.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        kept = [line for line in read_log(path) if line["iteration"] < start or line["kind"] == "val"] if start else []
        kept = [line for line in kept if line["iteration"] <= start]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = path.open("a", encoding="utf-8", buffering=1)  # whole lines, for whoever follows the run
        self._board = SummaryWriter(str(path.parent), purge_step=start or None)

    def add(self, kind: str, iteration: int, values: dict[str, float]) -> None:
        """Record normalised losses; ``kind`` is ``"train"`` or ``"val"``."""
        self._file.write(json.dumps({"kind": kind, "iteration": iteration, **values}) + "\n")
        for name, tag in TENSORBOARD_NAMES.items():
            if name in values:
                self._board.add_scalar(f"{kind}/{tag}", values[name], iteration)

    def flush(self) -> None:
        """Make everything recorded so far visible to readers."""
        self._file.flush()
        self._board.flush()

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        self._board.close()


class NoLog:
    """Records nothing: for all processes of a job but the first."""

    def add(self, kind: str, iteration: int, values: dict[str, float]) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a ``losses.jsonl``; a last line cut off by a crash is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                return
