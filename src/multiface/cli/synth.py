"""``multiface synth``: write a capture filmed on the virtual stage."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json

if TYPE_CHECKING:
    from rich.console import Console

    from multiface.prepare.stage import Filmed


@dataclass
class Options:
    """Options of ``multiface synth``."""

    out: tyro.conf.Positional[Path]
    """Folder for the capture; it must not exist or be empty."""

    segments: int = 5
    """Number of segments, the test segment EXP_ROM07_Facial_Expressions among them."""

    frames_per_segment: int = 12
    """Frames in each segment."""

    n_cameras: int = 8
    """Number of cameras, 1 to 40."""

    image_size: tuple[int, int] = (256, 167)
    """Height and width of the photos in pixels."""

    tex_size: int = 256
    """Texels along each side of the textures; they go to unwrapped_uv_<tex_size>."""

    seed: int = 0
    """Decides the person, the rig and everything that happens; the same seed gives the same bytes."""

    mesh: Path | None = None
    """Film your own head: its vertices (.bin, float32, millimetres); needs --topology and --texture."""

    topology: Path | None = None
    """Triangles and uv of --mesh (.obj)."""

    texture: Path | None = None
    """Picture of its skin."""

    expressions: Path | None = None
    """Its expressions: .npz with names (E,), deltas (E, V, 3) and optionally neutral (V, 3)."""

    calibration: Path | None = None
    """Cameras of your own: a KRT file for 1334 x 2048 photos."""

    pose: Path | None = None
    """Pose about which the head moves: a _transform.txt; by default where the cameras look."""

    json: bool = False
    """Print the result as one JSON object on the last line of stdout."""


def main(argv: list[str]) -> int:
    """Run the command; returns the exit status."""
    options = parse(Options, argv, command="synth", description=__doc__ or "")
    chosen = {field.name: getattr(options, field.name) for field in fields(options) if field.name not in ("out", "json")}
    filmed = film(options.out, console(), **chosen)
    if options.json:
        emit_json(filmed.to_json())
    return 0


def film(out: Path, screen: Console, **options: Any) -> Filmed:
    """Write a capture to ``out`` with the options of :class:`multiface.prepare.stage.StageConfig`, reporting to ``screen``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from multiface.prepare.stage import StageConfig, write_capture

    config = StageConfig(**options)
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
