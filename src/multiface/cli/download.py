"""multiface download: plan, fetch, verify and repair the public release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from multiface.cli.options import parse
from multiface.core.errors import ArgumentError

_DESCRIPTION = """Fetch what you choose of the public Multiface release (63 TB, CC BY-NC 4.0), and go on where an earlier run
stopped.

Names may be exact or globs in quotes ('GAZ_*'), several each, separated by blanks or commas. --dry_run shows what would
come and how large it is. Exit status 0: all of it is there; 1: something could not be fetched; 2: a mistake in the options."""
_LISTS = ("people", "segments", "cameras")


@dataclass(frozen=True)
class DownloadOptions:
    """Options of ``multiface download``."""

    entity: tuple[str, ...] = ()
    """People, by id: 6795937 002643814, '00*'."""
    segment: tuple[str, ...] = ()
    """Segments: E057_Cheeks_Puffed, 'SEN_*'. Audio is then fetched for these only."""
    camera: tuple[str, ...] = ()
    """Cameras of photos and textures: 400002, '40034?'."""
    asset: tuple[str, ...] = ()
    """Any of images, textures, average, mesh, audio, metadata; all when absent."""
    download_config: Path | None = None
    """A published download_config.json, with its published meaning; the options above narrow it down."""
    dest: Path = Path()
    """Folder that the captures go to."""
    list: Literal["people", "segments", "cameras"] | None = None
    """Show what there is (people when nothing follows) and fetch nothing."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show archives, bytes, disk and time, and fetch nothing."""
    offline: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """With --dry_run: ask no server, estimate sizes that are not known yet."""
    verify: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Compare what is on disk with what was recorded when it was extracted, and fetch nothing."""
    repair: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Verify, then fetch what is missing or broken of it, and nothing else."""
    store: Literal["png", "jpeg", "avif"] = "png"
    """Format of photos and textures on disk: png as they come, jpeg (a fifth) or avif (a twelfth of the space)."""
    quality: int | None = None
    """Quality of jpeg and avif, 1 to 100."""
    keep_archives: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Keep the archives too, in DEST/archives."""
    ignore_free_space: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Begin although the disk seems too small."""
    base_url: str | None = None
    """Address below which <entity>/<archive> are; MULTIFACE_BASE_URL, else the public server."""
    connections: int = 8
    """Archives fetched at the same time."""
    workers: int = 0
    """Processes that store pictures in another format; 0 for one for each core."""
    timeout: float = 30.0
    """Seconds of silence after which a connection counts as broken."""
    retries: int = 8
    """Attempts in a row without a new byte before an archive is given up."""
    retry_wait: float = 1.0
    """Seconds before the second attempt; doubled for each further one."""
    rate: float | None = None
    """Megabytes a second to work out the expected time with; that of the last download when absent."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as one JSON object on the last line of stdout."""


def main(argv: list[str]) -> int:
    """Run the command and return its exit status."""
    options = parse(DownloadOptions, with_default_list(argv), command="download", description=_DESCRIPTION)
    _check(options)
    from multiface.cli import download_actions as actions

    if options.list is not None:
        return actions.show_list(options)
    if options.verify or options.repair:
        return actions.verify_and_repair(options)
    return actions.plan_and_fetch(options)


def with_default_list(argv: list[str]) -> list[str]:
    """``--list`` alone means ``--list people``."""
    out: list[str] = []
    for position, word in enumerate(argv):
        out.append(word)
        following = argv[position + 1] if position + 1 < len(argv) else "--"
        if word in ("--list", "--lis") and following.startswith("-"):
            out.append("people")
    return out


def _check(options: DownloadOptions) -> None:
    modes = [name for name in ("list", "dry_run", "verify", "repair") if getattr(options, name)]
    if len(modes) > 1 and modes != ["verify", "repair"]:
        raise ArgumentError("only one of these can be done at a time", found=" ".join(f"--{mode}" for mode in modes))
    if options.offline and not options.dry_run:
        raise ArgumentError("--offline goes with --dry_run", remedy="Nothing can be fetched without a network")
    if options.quality is not None and options.store == "png":
        raise ArgumentError("--quality goes with --store jpeg or --store avif", found="--store png")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise ArgumentError("quality cannot be used", where="--quality", expected="1..100", found=options.quality)
    if options.rate is not None and not options.rate > 0:
        raise ArgumentError("rate cannot be used", where="--rate", expected="megabytes a second", found=options.rate)
    if options.workers < 0:
        raise ArgumentError("workers cannot be used", where="--workers", expected="0 or more", found=options.workers)
