"""What ``multiface download`` does, with what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiface.cli.download_display import progress_display, show_list_table, show_plan, show_result, show_verified
from multiface.cli.output import console, emit_json
from multiface.core.errors import ArgumentError, CaptureError
from multiface.core.memory import without_collection
from multiface.core.parallel import default_workers
from multiface.release import (
    Job,
    Network,
    Person,
    Plan,
    Selection,
    Server,
    Sizes,
    State,
    Transcoder,
    Verified,
    base_url,
    choose,
    download,
    load_catalogue,
    make_plan,
    read_published_config,
    verify,
)
from multiface.release.errors import TransferError
from multiface.release.index_page import listed_person
from multiface.release.names import Archive
from multiface.release.repair import repair_plan
from multiface.release.selection import Chosen
from multiface.release.transcode import check_format

if TYPE_CHECKING:
    from multiface.cli.download import DownloadOptions

_DEFAULT_CONFIG = Path("download_config.json")
MOST_QUESTIONS = 2000
"""Archives whose sizes a plan asks the server for; for more, sizes that are not known are estimated."""
MOST_QUESTIONS_BEFORE_FETCHING = 500
"""The same when fetching follows, which tells the sizes anyway."""


def show_list(options: DownloadOptions) -> int:
    """``--list``: the catalogue, without network."""
    people = load_catalogue().people
    chosen = choose(selection_of(options), people)
    rows = show_list_table(str(options.list), chosen, console())
    if options.json:
        emit_json({str(options.list): rows})
    return 0


def plan_and_fetch(options: DownloadOptions) -> int:
    """Plan, and unless it is a dry run, fetch."""
    network, state = network_of(options), State(options.dest)
    selection = selection_of(options)
    if selection.is_everything and not options.dry_run:
        raise ArgumentError(
            "nothing is chosen",
            expected="--entity, --segment, --camera, --asset or --download_config",
            remedy="multiface download --list shows what there is; --entity '*' fetches everything (63 TB)",
        )
    sizes = Sizes(state)
    with without_collection():
        chosen = choose(selection, people_of(selection, network, offline=options.offline))
        plan = _plan(options, chosen, state, sizes)
        show_plan(plan, console())
    if options.dry_run:
        if options.json:
            emit_json(plan.to_json())
        return 0
    if not options.ignore_free_space:
        plan.check_disk()
    with Server(network) as server:
        return _fetch(options, plan, state, sizes, server)


def verify_and_repair(options: DownloadOptions) -> int:
    """``--verify`` and ``--repair``."""
    state, selection = State(options.dest), selection_of(options)
    if not (state.folder / "records").is_dir():
        raise CaptureError(
            "nothing was downloaded to this folder by this command", where=options.dest, remedy="Name the folder with --dest"
        )
    archives = list(state.recorded())
    if not selection.is_everything:
        chosen_keys = {request.archive.key for request in choose(selection, load_catalogue().people).requests}
        archives = [archive for archive in archives if archive.key in chosen_keys]
    with state.locked(), progress_display("verifying", console()) as show:
        result = verify(state, archives, progress=lambda count: show.verified(count, len(archives)))
    show_verified(result, console())
    content: dict[str, Any] = result.to_json()
    good = result.good
    if options.repair and result.broken:
        content["repair"], good = _repair(options, state, result)
        good = good and not result.unfinished
    if options.json:
        emit_json(content)
    return 0 if good else 1


def selection_of(options: DownloadOptions) -> Selection:
    """What the options choose; the published default file counts when nothing is chosen and it is there."""
    config = options.download_config
    named = (options.entity, options.segment, options.camera, options.asset)
    browsing = options.list or options.verify or options.repair
    if config is None and not any(named) and not browsing and _DEFAULT_CONFIG.is_file():
        config = _DEFAULT_CONFIG
        console().print(f"no choice was made; taking {config}, as the published downloader does", markup=False)
    return Selection(*map(_split, named), config=None if config is None else read_published_config(config))


def _split(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words and lists with commas alike."""
    return tuple(part for word in words for part in word.split(",") if part)


def network_of(options: DownloadOptions) -> Network:
    return Network(base_url(options.base_url), options.connections, options.timeout, options.retries, options.retry_wait)


def people_of(selection: Selection, network: Network, *, offline: bool) -> Mapping[str, Person]:
    """The catalogue's people, and those whom only the server knows, if some of these are named."""
    known = load_catalogue().people
    asked = (*selection.entities, *(selection.config.entities if selection.config else ()))
    unknown = [name for name in asked if name not in known and not set(name) & set("*?[")]
    if not unknown or offline or network.base_url == Network().base_url:
        return known
    listed = {}
    with Server(replace(network, retries=1)) as server:
        for name in unknown:
            with suppress(TransferError):  # then it is unknown, and the user is told so
                person = listed_person(server, name)
                if person is not None:
                    listed[name] = person
    return {**known, **listed}


def _plan(options: DownloadOptions, chosen: Chosen, state: State, sizes: Sizes) -> Plan:
    """The plan, with sizes from the server where that does not take long."""
    archives = [request.archive for request in chosen.requests]
    unknown = [] if options.offline else sizes.unknown(archives)
    most = MOST_QUESTIONS if options.dry_run else MOST_QUESTIONS_BEFORE_FETCHING
    notes = list(chosen.notes)
    if len(unknown) > most:
        notes.append(f"sizes of {len(unknown):,} archives are estimated; the server is asked for up to {most:,}")
    elif unknown:
        state.open()
        notes += _ask_for_sizes(sizes, network_of(options), unknown)
    rate = None if options.rate is None else options.rate * 1e6
    return make_plan(Chosen(chosen.people, chosen.requests, tuple(notes)), state, sizes, store=options.store, rate=rate)


def _ask_for_sizes(sizes: Sizes, network: Network, unknown: list[Archive]) -> list[str]:
    """Learn sizes; returns what is to be said about it."""
    try:
        with Server(replace(network, retries=1)) as server, progress_display("asking for sizes", console()) as show:
            absent = sizes.ask(server, unknown, show.counted)
    except TransferError as error:
        return [f"the server cannot be asked for sizes: {error}"]
    return [f"the server has no {key}" for key in absent]


def _fetch(options: DownloadOptions, plan: Plan, state: State, sizes: Sizes, server: Server) -> int:
    state.open()
    with state.locked(), _transcoder(options.store, options.quality, options.workers) as transcoder:
        job = Job(server, state, transcoder, options.keep_archives)
        with progress_display("fetching", console()) as show:
            result = download(plan, job, sizes, tick=show.fetched)
    show_result(result, console())
    if options.json:
        emit_json(result.to_json())
    return 0 if result.good else 1


def _repair(options: DownloadOptions, state: State, found: Verified) -> tuple[dict[str, Any], bool]:
    """Fetch what is broken, pictures in the format that they were stored in."""
    stores = sorted({broken.record.begin.store for broken in found.broken if broken.record.begin})
    results: dict[str, Any] = {}
    good = True
    for store in stores:
        part = Verified(broken=[b for b in found.broken if b.record.begin and b.record.begin.store == store])
        plan, members = repair_plan(state, part)
        name, _, quality = store.partition("-")
        with Server(network_of(options)) as server, _transcoder(name, int(quality or 0) or None, options.workers) as pool:
            job = Job(server, state, pool, broken=members)
            with progress_display("repairing", console()) as show:
                result = download(plan, job, Sizes(state), tick=show.fetched)
        show_result(result, console())
        results[store] = result.to_json()
        good = good and result.good
    return results, good


@contextmanager
def _transcoder(store: str, quality: int | None, workers: int) -> Iterator[Transcoder | None]:
    if store not in ("jpeg", "avif"):
        yield None
        return
    check_format(store)
    with Transcoder(store, quality, workers or default_workers(64)) as transcoder:
        yield transcoder
