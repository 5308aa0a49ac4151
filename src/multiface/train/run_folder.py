"""What a run leaves in its result folder, and under which names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import make_folder, write_text
from multiface.train.run_lock import RunLock


class RunFolder:
    """The result folder of one training run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.model = self.path / "model.safetensors"
        self.best_model = self.path / "best_model.safetensors"
        self.states = self.path / "states"
        self.config = self.path / "config.json"
        self.log = self.path / "losses.jsonl"
        self.result = self.path / "result.txt"
        self.pictures = self.path / "pictures"
        self._lock: RunLock | None = None

    def lock(self, job: str | None = None) -> str | None:
        """Make the folder this process's own until :meth:`unlock`.

        Args:
            job: Name of the job (see :class:`multiface.train.launch.Launch`).

        Returns:
            Name of the job that had it last.

        Raises:
            ArgumentError: another live job has it.
        """
        make_folder(self.path)
        self._lock = RunLock(self.path, job)
        return self._lock.previous_job

    def unlock(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            self._lock.release()

    def create(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Begin a fresh run; an older run in the folder is refused, or removed when ``overwrite`` is set."""
        make_folder(self.path)
        old = [file for file in (*self._states(), self.model, self.best_model, self.log) if file.exists()]
        if old and not overwrite:
            raise ArgumentError(
                "the result folder already holds a run",
                where=self.path,
                found=", ".join(dict.fromkeys(str(file.relative_to(self.path).parts[0]) for file in old)),
                remedy=f"Go on with it (--resume {self.path}), choose another --result_path, or start afresh with --overwrite",
            )
        for file in (*old, self.result, *self.path.glob("events.out.tfevents.*")):
            file.unlink(missing_ok=True)
        self.write_config(config)

    def write_config(self, config: dict[str, Any]) -> None:
        """Note the options."""
        write_text(self.config, json.dumps(config, indent=2, sort_keys=True) + "\n")

    @property
    def holds_state(self) -> bool:
        """Whether there is something to go on with."""
        return self.config.is_file() and any(self.states.glob("*.json"))

    def require(self) -> dict[str, Any]:
        """The configuration of the run to go on with.

        Raises:
            ArgumentError: there is no run here that can be continued.
        """
        if not self.holds_state:
            raise ArgumentError(
                "there is no run to go on with here",
                where=self.path,
                expected="config.json and a training state in states/",
                found="none",
                remedy="Give the --result_path of an earlier training",
            )
        try:
            return json.loads(self.config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FormatError(f"is not valid JSON: {error}", where=self.config, remedy="Start the run afresh") from error

    def _states(self) -> list[Path]:
        return [*self.states.glob("*.json"), *self.states.glob("*.safetensors")]
