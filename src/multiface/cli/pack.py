"""``multiface pack``: a training store of a capture, read many times faster than its PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.cli.progress import StepBar

Codec = Literal["raw", "lz4", "zstd", "png", "jpeg", "avif"]
_DESCRIPTION = """Pack a capture, or part of it, into a store: a few large files with random access by frame and camera.

A store is taken wherever a capture is (train, test, inspect, ...). A run that was interrupted goes on when started again."""


@dataclass
class Options:
    """Options of ``multiface pack``."""

    capture: tyro.conf.Positional[Path]
    """Capture folder, or another store."""

    out: tyro.conf.Positional[Path]
    """Folder of the store, new or empty, or that of the run to go on with."""

    size: int | None = None
    """Texels along each side of the packed textures; those of the capture when absent. Choose the size you train at."""

    segments: tuple[str, ...] = ()
    """Only these segments (whole names); all when absent."""

    cameras: tuple[str, ...] = ()
    """Only these cameras; all when absent."""

    photos: bool = True
    """Pack the photos too; --no-photos when no pictures will be compared."""

    photo_size: tuple[int, int] | None = None
    """Height and width of the packed photos; their own when absent."""

    codec: Codec = "lz4"
    """raw, lz4, zstd, png: lossless; jpeg, avif: small, what cameras did not see stays exactly so."""

    texture_codec: Codec | None = None
    """For camera textures, instead of --codec."""

    average_codec: Codec | None = None
    """For average textures, instead of --codec; lz4 when both are absent or --codec is lossy: networks see them."""

    photo_codec: Codec | None = None
    """For photos, instead of --codec."""

    quality: int | None = None
    """Of jpeg (95 when absent) and avif (80), 1 to 100."""

    shard_mb: int = 512
    """A shard ends with the first frame that makes it this large."""

    workers: int | None = None
    """Threads; one per core, up to sixteen, when absent."""

    overwrite: bool = False
    """Replace a store or an unfinished pack that is in the folder."""

    json: bool = False
    """Print the result as one JSON object on the last line of stdout."""


def main(argv: list[str]) -> int:
    """Run the command; returns the exit status."""
    options = parse(Options, argv, command="pack", description=_DESCRIPTION)
    from multiface.capture.store import LOSSY
    from multiface.prepare.pack import PackSettings, pack_capture

    settings = PackSettings(
        segments=options.segments,
        cameras=options.cameras,
        texture_size=options.size,
        photos=options.photos,
        photo_size=options.photo_size,
        texture_codec=options.texture_codec or options.codec,
        average_codec=options.average_codec or ("lz4" if options.codec in LOSSY else options.codec),
        photo_codec=options.photo_codec or options.codec,
        quality=options.quality,
        shard_bytes=options.shard_mb << 20,
    )
    with StepBar("packing frames") as progress:
        report = pack_capture(
            options.capture,
            options.out,
            settings,
            workers=options.workers,
            overwrite=options.overwrite,
            progress=progress.update,
        )
    _print_report(report)
    if options.json:
        emit_json(report.to_json())
    return 0


_PLURAL = {"average": "averages", "mesh": "meshes", "photo": "photos", "pose": "poses", "texture": "textures"}


def _print_report(report, at_most: int = 10) -> None:
    out = console()
    packed = ", ".join(f"{count:,} {_PLURAL[kind]}" for kind, count in sorted(report.counts.items()))
    before = f" ({report.frames_before} of them before)" if report.frames_before else ""
    out.print(
        f"{report.store}: {report.frames} frames{before}: {packed}; {report.bytes / 1e6:,.1f} MB in {report.seconds:.1f} s",
        soft_wrap=True,
        markup=False,
    )
    for kind, psnr in sorted(report.psnr.items()):
        out.print(f"  {kind}: PSNR {psnr['mean']:.1f} dB on average, {psnr['lowest']:.1f} dB at the lowest")
    if report.skipped:
        out.print(f"{len(report.skipped)} files missing or broken, left out:")
    for entry in report.skipped[:at_most]:
        out.print(f"  {entry.file}: {entry.reason}", soft_wrap=True, markup=False)
    if len(report.skipped) > at_most:
        out.print(f"  and {len(report.skipped) - at_most} more (all of them with --json)")
