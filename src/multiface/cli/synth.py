"""``multiface synth``: write a capture filmed on the virtual stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.prepare.stage.config import StageConfig

if TYPE_CHECKING:
    from rich.console import Console

    from multiface.prepare.stage import Filmed


@dataclass(frozen=True, kw_only=True)
class Options(StageConfig):
    """Options of ``multiface synth``."""

    out: tyro.conf.Positional[Path]
    """Folder for the capture; it must not exist or be empty."""

    json: bool = False
    """Print the result as one JSON object on the last line of stdout."""


def main(argv: list[str]) -> int:
    """Run the command; returns the exit status."""
    options = parse(Options, argv, command="synth", description=__doc__ or "")
    filmed = film(options, options.out, console())
    if options.json:
        emit_json(filmed.to_json())
    return 0


def film(config: StageConfig, out: Path, screen: Console) -> Filmed:
    """Write a capture of what ``config`` says to ``out``, reporting to ``screen``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from multiface.prepare.stage import write_capture

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total)

        filmed = write_capture(config, out, report)
    screen.print(
        f"{filmed.frames} frames in {filmed.segments} segments from {filmed.cameras} cameras, "
        f"{config.image_size[0]} x {config.image_size[1]}, textures {config.tex_size} x {config.tex_size}: "
        f"{filmed.capture} ({filmed.seconds:.1f} s)",
        soft_wrap=True,
        markup=False,
    )
    return filmed
