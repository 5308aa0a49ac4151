"""multiface inspect: what a capture holds and what is missing or broken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from multiface.capture.inspection import InspectionReport, inspect_capture
from multiface.capture.inspection.inspect import Progress
from multiface.cli.options import parse
from multiface.cli.output import console, emit_json

_MOST_SEGMENTS = 40
_DESCRIPTION = """List what a capture holds (people, segments, frames, gaps, cameras, sizes, audio) and what is wrong with it.

The exit status is 0 when the inspection was done, whatever it found; with --strict it is 1 when there are problems."""


@dataclass(frozen=True)
class InspectOptions:
    """Options of ``multiface inspect``."""

    capture: tyro.conf.Positional[Path]
    """The capture folder."""
    quick: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Look at names, sizes and headers only, decode no pictures."""
    strict: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Exit with status 1 when there are problems."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print everything found as one line of JSON on stdout."""
    max_problems: int = 30
    """How many problems to show as text; --json always has all."""


def main(argv: list[str]) -> int:
    """Run the command and return its exit status."""
    options = parse(InspectOptions, argv, command="inspect", description=_DESCRIPTION)
    with _progress_bar() as progress:
        report = inspect_capture(options.capture, quick=options.quick, progress=progress)
    show_report(report, max(options.max_problems, 0))
    if options.json:
        emit_json(report.to_json())
    return 1 if options.strict and report.problems else 0


def show_report(report: InspectionReport, max_problems: int = 30) -> None:
    """Print a report for people, on stderr."""
    out = console()
    person = f", entity {report.entity}" if report.entity else ""
    out.print(_plain(f"{report.path}{person}"), style="bold", soft_wrap=True)
    for line in _facts(report):
        out.print(_plain(line), soft_wrap=True)
    out.print(_segment_table(report))
    if len(report.details) > _MOST_SEGMENTS:
        out.print(f"... and {len(report.details) - _MOST_SEGMENTS} more segments (--json has all)")
    if not report.problems:
        out.print("no problems found" + (" (quick: pictures were not decoded)" if report.quick else ""), style="green")
        return
    out.print(f"{len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}", style="bold red")
    for problem in report.problems[:max_problems]:
        out.print(_plain(f"  {problem.file}: {problem.what}"), soft_wrap=True)
    if len(report.problems) > max_problems:
        out.print(f"  ... and {len(report.problems) - max_problems} more (--max_problems N, or --json for all)")


def _facts(report: InspectionReport) -> Iterator[str]:
    kinds: dict[str, int] = {}
    for summary in report.details.values():
        kinds[summary.kind] = kinds.get(summary.kind, 0) + 1
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield f"  {report.frames:,} frames in {len(report.segments)} segments ({listed}), {len(report.cameras)} cameras"
    for name in ("photos", "textures"):
        sizes = report.sizes.get(name, {})
        text = ", ".join(f"{n:,} of {w} x {h}" for (h, w), n in sorted(sizes.items(), key=lambda item: -item[1])[:4])
        yield f"  {name}: {text + ' (width x height)' if text else 'none'}"
    yield f"  meshes: {report.sizes.get('vertices', 'no')} vertices, {report.sizes.get('triangles', 'no')} triangles"
    if report.audio:
        seconds = sum(sound["seconds"] for sound in report.audio.values())
        yield f"  audio: {seconds:.1f} s in {len(report.audio)} segments"
    if report.gaps:
        yield f"  gaps in frame numbers: {len(report.gaps)}, {sum(gap.missing for gap in report.gaps)} frames left out"


def _segment_table(report: InspectionReport):
    from rich import box
    from rich.table import Table

    summaries = list(report.details.values())[:_MOST_SEGMENTS]
    columns = {
        "frames": [str(s.frames) for s in summaries],
        "from": [s.first for s in summaries],
        "to": [s.last for s in summaries],
        "step": [str(s.step or "-") for s in summaries],
        "gaps": [str(s.gaps or "-") for s in summaries],
        "photos": [str(s.photos or "-") for s in summaries],
        "textures": [str(s.textures or "-") for s in summaries],
        "audio s": ["-" if s.audio_seconds is None else f"{s.audio_seconds:.1f}" for s in summaries],
    }
    telling = {name: cells for name, cells in columns.items() if set(cells) != {"-"}}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("segment", overflow="fold")
    for name in telling:
        table.add_column(name, justify="right", no_wrap=True)
    for segment, *cells in zip(report.details, *telling.values()):
        table.add_row(*map(_plain, (segment, *cells)))
    return table


def _plain(text: str):
    """Text shown as it is: no markup, and no control characters that a file name might carry into the terminal."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("inspecting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    out = console()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("inspecting", total=None)
        shown = 0.0

        def update(done: int, total: int) -> None:
            nonlocal shown
            if time.monotonic() - shown > 0.1:  # half a million updates would cost more than the work
                shown = time.monotonic()
                bar.update(task, completed=done, total=total)

        yield update
