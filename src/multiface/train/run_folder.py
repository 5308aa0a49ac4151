"""What a run leaves in its result folder, and under which names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import make_folder, write_text


class RunFolder:
    """The result folder of one training run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.model = self.path / "model.safetensors"
        self.best_model = self.path / "best_model.safetensors"
        self.state = self.path / "training_state.pt"
        self.config = self.path / "config.json"
        self.log = self.path / "losses.jsonl"
        self.result = self.path / "result.txt"
        self.pictures = self.path / "pictures"

    def create(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Make the folder for a fresh run; an older run in it is refused, or removed when ``overwrite`` is set."""
        make_folder(self.path)
        old = [file for file in (self.state, self.model, self.best_model, self.log) if file.exists()]
        if old and not overwrite:
            raise ArgumentError(
                "the result folder already holds a run",
                where=self.path,
                found=", ".join(file.name for file in old),
                remedy=f"Go on with it (--resume {self.path}), choose another --result_path, or start afresh with --overwrite",
            )
        for file in (*old, self.result, *self.path.glob("events.out.tfevents.*")):
            file.unlink(missing_ok=True)
        write_text(self.config, json.dumps(config, indent=2, sort_keys=True) + "\n")

    def require(self) -> dict[str, Any]:
        """The configuration of the run to go on with.

        Raises:
            ArgumentError: there is no run here that can be continued.
        """
        for file in (self.config, self.state):
            if not file.is_file():
                raise ArgumentError(
                    "there is no run to go on with here",
                    where=self.path,
                    expected=f"a file {file.name}",
                    found="none",
                    remedy="Give the --result_path of an earlier training",
                )
        try:
            return json.loads(self.config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FormatError(f"is not valid JSON: {error}", where=self.config, remedy="Start the run afresh") from error
