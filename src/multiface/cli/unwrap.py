"""``multiface unwrap``: textures, averages and statistics from photos, meshes and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.cli.progress import StepBar


@dataclass
class Options:
    """Options of ``multiface unwrap``."""

    capture: tyro.conf.Positional[Path]
    """Capture folder with KRT, images and tracked_mesh."""

    tex_size: int = 1024
    """Texels along each side of the textures; they go to unwrapped_uv_<tex_size>."""

    out: Path | None = None
    """Write textures and statistics to this folder, and link photos, meshes and calibration there; the capture itself is
    then only read."""

    copy: bool = False
    """With --out: copy instead of linking."""

    cameras: tuple[str, ...] = ()
    """Only these cameras; all when absent."""

    segments: tuple[str, ...] = ()
    """Only these segments (whole names); all when absent."""

    overwrite: bool = False
    """Make textures anew that are there already."""

    workers: int | None = None
    """Threads; one per core, up to eight, when absent."""

    json: bool = False
    """Print the result as one JSON object on the last line of stdout."""


def main(argv: list[str]) -> int:
    """Run the command; returns the exit status."""
    options = parse(Options, argv, command="unwrap", description=__doc__ or "")
    from multiface.prepare import link_capture, unwrap_capture

    target = options.capture
    if options.out is not None:
        link_capture(options.capture, options.out, copy=options.copy)
        target = options.out
    with StepBar("unwrapping frames") as progress:
        report = unwrap_capture(
            target,
            options.tex_size,
            cameras=options.cameras or None,
            segments=options.segments or None,
            overwrite=options.overwrite,
            workers=options.workers,
            progress=progress.update,
        )
    _print_report(report)
    if options.json:
        emit_json(report.to_json())
    return 0


def _print_report(report, at_most: int = 10) -> None:
    out = console()
    out.print(
        f"{report.textures} textures of {report.frames} frames, {report.texture_size} x {report.texture_size}, in "
        f"{report.capture} ({report.written} made now, {report.seconds:.1f} s)",
        soft_wrap=True,
    )
    if report.skipped:
        out.print(f"{len(report.skipped)} files missing or left out:")
    for entry in report.skipped[:at_most]:
        out.print(f"  {entry.file}: {entry.reason}", soft_wrap=True, markup=False)
    if len(report.skipped) > at_most:
        out.print(f"  and {len(report.skipped) - at_most} more (all of them with --json)")
