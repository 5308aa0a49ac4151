"""``multiface train-all``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.cli.processes import one_voice, quiet_libraries
from multiface.cli.table import print_rows, tables_that_fit
from multiface.core.errors import ArgumentError
from multiface.train.config import Architecture, TrainConfig

if TYPE_CHECKING:
    from multiface.train.many import Outcome, Task

DESCRIPTION = (
    "Train one model of each capture and architecture: on one GPU or CPU one after another; under torchrun or srun spread "
    "over all GPUs of the job. What is finished is skipped, what was begun goes on, what fails leaves the others alone."
)
COLUMNS = ("model", "", "updates", "images/s", "best texture", "best mesh")
PARTS = (("updates", "images", "best"), ("frozen", "adapted"))
"""How columns begin that stand in one table where the terminal is narrow: of training, and of testing."""


@dataclass(frozen=True, kw_only=True)
class TrainAllConfig(TrainConfig):
    """Options of ``multiface train-all``: those of ``multiface train`` hold for every training."""

    captures: tuple[Path, ...] = ()
    """Capture folders; may also be given as the first words."""
    capture_list: Path | None = None
    """Text file with one capture folder on each line."""
    archs: tuple[Architecture, ...] = ("base",)
    """Architectures to train of each capture."""
    test: Literal["none", "frozen", "adapted", "both"] = "none"
    """Test each model afterwards, as `multiface test --report` does, and put the errors into the table."""
    result_path: Path = Path("runs/all")
    """Folder for a run folder of each model, models.json and models.md."""


def main(argv: list[str]) -> int:
    quiet_libraries()
    with one_voice():
        config = parse(TrainAllConfig, _with_captures(argv), command="train-all CAPTURE...", description=DESCRIPTION)
        from multiface.train.many import make_tasks, read_capture_list

        if config.data_dir is not None or config.resume is not None:
            raise ArgumentError(
                "--data_dir and --resume are options of one training",
                remedy="Name the captures as the first words; what was begun goes on by itself",
            )
        listed = [] if config.capture_list is None else read_capture_list(_existing(config.capture_list))
        tasks = make_tasks([*config.captures, *listed], config.archs, config.result_path)
    return _run(config, tasks)


def _run(config: TrainAllConfig, tasks: list[Task]) -> int:
    from multiface.train.devices import find_device
    from multiface.train.distributed import meet
    from multiface.train.launch import read_launch
    from multiface.train.many import OwnBoard, Runner, SharedBoard, wait_for_all

    out = console()
    with one_voice():
        launch = read_launch()
        device = find_device(config.device, launch)
    board = OwnBoard() if launch.world_size == 1 else SharedBoard(meet(launch, config.timeout))
    name = None if config.device is None and launch.world_size == 1 else str(device)
    runner = Runner(tasks, config, board, name, config.test, lambda line: out.print(line, soft_wrap=True, markup=False))
    stopped = runner.run()
    if launch.rank > 0:
        return 130 if stopped else 0
    outcomes = wait_for_all(board, tasks, lambda: stopped)
    header = [*COLUMNS, *(f"{kind} {what}" for kind in _tested(config) for what in ("texture", "mesh"))]
    rows = [_row(task, outcome, len(header)) for task, outcome in zip(tasks, outcomes)]
    _show(out, header, rows)
    _write(config.result_path, header, rows, tasks, outcomes)
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    if config.json:
        emit_json({"models": [_entry(task, outcome) for task, outcome in zip(tasks, outcomes)], "failed": failed})
    return 130 if stopped else 1 if failed else 0


def _with_captures(argv: list[str]) -> list[str]:
    """The words before the first option are captures."""
    count = next((number for number, word in enumerate(argv) if word.startswith("-")), len(argv))
    return [*(["--captures"] if count else []), *argv]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ArgumentError("the list of captures is not there", where=path)
    return path


def _tested(config: TrainAllConfig) -> tuple[str, ...]:
    return {"none": (), "both": ("frozen", "adapted")}.get(config.test, (config.test,))


def _row(task: Task, outcome: Outcome, columns: int) -> list[str]:
    result = outcome.result
    best = result.get("best", {})
    row = [task.folder.name, outcome.status, *(_number(result.get(name)) for name in ("iterations", "images_per_second"))]
    row += [_number(best.get(name)) for name in ("tex", "verts")]
    for kind in ("frozen", "adapted"):
        tested = result.get("test", {}).get(kind)
        row += [_number(tested.get(name)) for name in ("tex_denorm", "mesh")] if tested else []
    return row + [""] * (columns - len(row))


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else "-"


def _show(out, header: list[str], rows: list[list[str]]) -> None:
    header = [name.replace(" ", "\n") for name in header]
    for part, some in tables_that_fit(header, rows, out.width, PARTS):
        print_rows(out, "", part, some, whole=True)


def _write(folder: Path, header: list[str], rows: list[list[str]], tasks: list[Task], outcomes: list[Outcome]) -> None:
    import json

    from multiface.core.files import write_text

    lines = [header, ["---"] * len(header), *rows]
    write_text(folder / "models.md", "".join(f"| {' | '.join(line)} |\n" for line in lines))
    entries = [_entry(task, outcome) for task, outcome in zip(tasks, outcomes)]
    write_text(folder / "models.json", json.dumps(entries, indent=1) + "\n")


def _entry(task: Task, outcome: Outcome) -> dict[str, Any]:
    return {"capture": str(task.capture), "arch": task.arch, "folder": str(task.folder), **asdict(outcome)}
