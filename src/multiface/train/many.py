"""Many trainings, one model each, spread over the processes of a job.

Each training runs in a process of its own (``multiface train``), so that whatever happens to one leaves the others alone,
and each begins with an empty GPU. Processes of the job take the next training when they have finished one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Protocol

from multiface.core.errors import ArgumentError
from multiface.core.files import make_folder, write_text
from multiface.train.config import DataOptions, TrainConfig
from multiface.train.interrupt import StopRequest
from multiface.train.run_folder import RunFolder

FINISHED = "finished.json"
DONE, BEFORE, FAILED, STOPPED = "trained", "trained before", "failed", "stopped"
_OWN = frozenset({"data_dir", "result_path", "resume", "json", "arch", "local_rank", "device", "overwrite"})
_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK", "ROLE_RANK")


@dataclass(frozen=True)
class Task:
    """One model to be made: of ``capture`` with ``arch``, in ``folder``."""

    capture: Path
    arch: str
    folder: Path


@dataclass
class Outcome:
    """What became of a task.

    Attributes:
        task: Number of the task.
        status: :data:`DONE`, :data:`BEFORE`, :data:`FAILED` or :data:`STOPPED`.
        message: What a failed one said last.
        seconds: Time it took in this job.
        result: What ``multiface train --json`` said, and under ``"test"`` what ``multiface test --json`` said.
    """

    task: int
    status: str
    message: str = ""
    seconds: float = 0.0
    result: dict[str, Any] = field(default_factory=dict)


class Board(Protocol):
    """Where the processes of a job share out tasks and leave outcomes."""

    def next_task(self) -> int:
        """A number that no process has had: 0, 1, ..."""
        ...

    def put(self, outcome: Outcome) -> None:
        """Leave an outcome."""

    def outcome(self, task: int) -> Outcome | None:
        """The outcome of a task, None when it has none yet."""
        ...


class OwnBoard:
    """The board of a job of one process."""

    def __init__(self) -> None:
        self._next = 0
        self._outcomes: dict[int, Outcome] = {}

    def next_task(self) -> int:
        self._next += 1
        return self._next - 1

    def put(self, outcome: Outcome) -> None:
        self._outcomes[outcome.task] = outcome

    def outcome(self, task: int) -> Outcome | None:
        return self._outcomes.get(task)


class SharedBoard:
    """The board of a job of several: its store, which is a ``torch.distributed.Store``."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def next_task(self) -> int:
        return self._store.add("task", 1) - 1

    def put(self, outcome: Outcome) -> None:
        self._store.set(f"outcome {outcome.task}", json.dumps(asdict(outcome)))

    def outcome(self, task: int) -> Outcome | None:
        name = f"outcome {task}"
        return Outcome(**json.loads(self._store.get(name))) if self._store.check([name]) else None


def make_tasks(captures: Sequence[Path], archs: Sequence[str], folder: Path) -> list[Task]:
    """Every capture with every architecture; each in a folder named after both.

    Raises:
        ArgumentError: nothing to do, or two captures of one name.
    """
    if not captures:
        raise ArgumentError("no captures were given", remedy="Name their folders, or a file that lists them: --capture_list")
    names = [path.resolve().name for path in captures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArgumentError("captures of the same name", found=", ".join(twice), remedy="Give each folder a name of its own")
    return [Task(path, arch, folder / f"{name}--{arch}") for path, name in zip(captures, names) for arch in archs]


def read_capture_list(path: Path) -> list[Path]:
    """Folders named in a text file, one on each line, relative to the file; ``#`` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [path.parent / line for line in lines if line]


@dataclass
class Runner:
    """Takes tasks from a board until none is left.

    Attributes:
        tasks: All of them.
        config: Options for every training; capture, architecture and folder are the task's.
        board: Shared with the other processes.
        device: ``--device`` of the trainings, None to let them choose.
        test: Which protocols to test each model with afterwards: "none", or as ``multiface test --report``.
        say: Called with a line for the user.
    """

    tasks: list[Task]
    config: TrainConfig
    board: Board
    device: str | None
    test: str
    say: Callable[[str], None]

    def run(self) -> bool:
        """Work; returns whether somebody asked to stop."""
        with StopRequest() as stop:
            while not stop.requested and (number := self.board.next_task()) < len(self.tasks):
                task = self.tasks[number]
                self.say(f"{task.folder.name}: begins ({number + 1} of {len(self.tasks)})")
                began = time.monotonic()
                outcome = self._one(number, task, stop)
                outcome.seconds = time.monotonic() - began
                self.board.put(outcome)
                self.say(f"{task.folder.name}: {outcome.status}" + (f", {outcome.message}" if outcome.message else ""))
        return stop.requested

    def _one(self, number: int, task: Task, stop: StopRequest) -> Outcome:
        try:
            finished = self._finished(task)
            result = finished or self._command("train", self._train_words(task), task.folder, stop)
            status = BEFORE if finished else DONE
            if self.test != "none" and "test" not in result:
                tested = self._command("test", self._test_words(task, result), task.folder, stop)
                result["test"] = {kind: _numbers(tested.get(kind)) for kind in ("frozen", "adapted") if tested.get(kind)}
            write_text(task.folder / FINISHED, json.dumps({"options": self._words(task), "result": result}) + "\n")
        except _Stopped:
            return Outcome(number, STOPPED)
        except (_Failed, OSError) as error:
            return Outcome(number, FAILED, str(error))
        return Outcome(number, status, result=result)

    def _finished(self, task: Task) -> dict[str, Any] | None:
        """The result of an earlier job with the same options."""
        path = task.folder / FINISHED
        if self.config.overwrite or not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return dict(content["result"]) if content["options"] == self._words(task) else None
        except (ValueError, KeyError, TypeError):
            return None

    def _words(self, task: Task) -> list[str]:
        return ["--arch", task.arch, *as_words(self.config, TrainConfig())]

    def _train_words(self, task: Task) -> list[str]:
        folder = RunFolder(task.folder)
        words = [*self._words(task), "--data_dir", str(task.capture), *self._place()]
        if folder.holds_state and not self.config.overwrite:
            return [*words, "--resume", str(task.folder)]
        return [*words, "--result_path", str(task.folder), "--overwrite"]

    def _test_words(self, task: Task, result: Mapping[str, Any]) -> list[str]:
        best = task.folder / "best_model.safetensors"
        model = best if best.is_file() else Path(result["checkpoint"])
        common = as_words(self.config, TrainConfig(), {option.name for option in fields(DataOptions)})
        where = ["--data_dir", str(task.capture), "--model_path", str(model), "--result_path", str(task.folder / "test")]
        return [*common, *where, "--report", self.test, *self._place()]

    def _place(self) -> list[str]:
        return ["--device", self.device] if self.device else []

    def _command(self, name: str, words: list[str], folder: Path, stop: StopRequest) -> dict[str, Any]:
        """Run a command of ours and return the result that it prints."""
        make_folder(folder)
        environment = {key: value for key, value in os.environ.items() if not _is_launchers(key)}
        with (folder / f"{name}.log").open("a+", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "multiface", name, *words, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,  # a Ctrl-C comes to us; we pass it on once
            )
            out = _wait(process, stop)
            if stop.requested:
                raise _Stopped
            if process.returncode != 0:
                raise _Failed(_last_words(log, process.returncode))
        return json.loads(out.splitlines()[-1])


def _numbers(measured: Any) -> dict[str, float]:
    """The metrics themselves, without those of single segments and cameras."""
    return {name: value for name, value in dict(measured).items() if isinstance(value, (int, float))}


class _Failed(Exception):
    """A command of ours ended badly."""


class _Stopped(Exception):
    """Somebody asked to stop."""


def _wait(process: subprocess.Popen[str], stop: StopRequest) -> str:
    """What the process printed; a request to stop is passed on, and it gets the time to save."""
    passed_on = False
    while True:
        try:
            return process.communicate(timeout=0.5)[0]
        except subprocess.TimeoutExpired:
            if stop.requested and not passed_on:
                process.send_signal(signal.SIGTERM)
                passed_on = True
        except KeyboardInterrupt:
            process.kill()
            raise


def _last_words(log: IO[str], status: int) -> str:
    if status < 0:
        return f"killed by signal {-status}"
    log.seek(0)
    lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    return (lines[-1] if lines else f"exit status {status}").removeprefix("multiface train: ")[:300]


def _is_launchers(key: str) -> bool:
    return key in _LAUNCHER or key.startswith(("TORCHELASTIC_", "SLURM_STEP_", "SLURM_PROCID", "SLURM_LOCALID"))


def as_words(config: TrainConfig, defaults: TrainConfig, names: set[str] | None = None) -> list[str]:
    """The command-line words for the options that differ from the defaults, those that are each task's own left out."""
    words: list[str] = []
    for option in fields(TrainConfig):
        value = getattr(config, option.name)
        wanted = option.name not in _OWN and (names is None or option.name in names)
        if not wanted or value == getattr(defaults, option.name):
            continue
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{option.name}")
        else:
            words += [f"--{option.name}", *map(str, value if isinstance(value, (list, tuple)) else [value])]
    return words


def wait_for_all(board: Board, tasks: Sequence[Task], stopped: Callable[[], bool]) -> list[Outcome]:
    """Outcomes of all tasks, in order, when the other processes have them; those never begun when it was ``stopped``."""
    outcomes = []
    for number in range(len(tasks)):
        while (outcome := board.outcome(number)) is None and not stopped():
            time.sleep(0.5)
        outcomes.append(outcome or Outcome(number, STOPPED, "not begun, or not finished by the process that had it"))
    return outcomes
