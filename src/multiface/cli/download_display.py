"""What ``multiface download`` shows to people: tables of what there is, the plan, one progress line, the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from multiface.release.plan import DEFAULT_RATE, Plan, human_bytes, human_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from multiface.release import Progress, Result, Verified
    from multiface.release.selection import Chosen

_MOST_LINES = 12
_KINDS = ("metadata", "audio", "mesh", "textures", "images")


def show_list_table(what: str, chosen: Chosen, out: Console) -> list[Any]:
    """Show people, segments or cameras of a selection; returns the same for programs."""
    if what == "people":
        rows: list[Any] = [
            {
                "entity": person.entity,
                "root": person.root,
                "rig": person.rig,
                "segments": len(person.segments),
                "cameras": len(person.cameras),
                "images_bytes": person.bytes_of["images"],
                "textures_bytes": person.bytes_of["textures"],
                "mesh_bytes": person.bytes_of["mesh"],
                "models": person.models,
            }
            for person in chosen.people
        ]
        headings = ("entity", "rig", "segments", "cameras", "photos", "textures", "meshes", "weights")
        cells = [
            (row["entity"], f"V{row['rig']}", str(row["segments"]), str(row["cameras"]))
            + tuple(human_bytes(row[f"{kind}_bytes"]) for kind in ("images", "textures", "mesh"))
            + ("yes" if row["models"] else "-",)
            for row in rows
        ]
        _table(out, headings, cells)
        return rows
    requests = {(request.archive.entity, request.archive.segment) for request in chosen.requests}
    rows = []
    for person in chosen.people:
        if what == "segments":
            names = [name for name in person.segments if (person.entity, name) in requests]
        else:
            names = list(person.cameras)
        rows.append({"entity": person.entity, what: names})
    if what == "segments":
        names = sorted({name for row in rows for name in row["segments"]})
        having = {name: [row["entity"] for row in rows if name in row["segments"]] for name in names}
        _table(out, ("segment", "people"), [(name, _people(having[name], len(rows))) for name in names])
    else:
        _table(out, ("entity", "cameras"), [(row["entity"], " ".join(row["cameras"])) for row in rows])
    return rows


def _people(entities: list[str], of: int) -> str:
    return f"all {of}" if len(entities) == of and of > 1 else " ".join(entities)


def show_plan(plan: Plan, out: Console) -> None:
    """Show what will come."""
    rows = plan.by_person()
    kinds = [kind for kind in _KINDS if any(kind in row for row in rows.values())]
    cells = [
        (entity, str(row["archives"]))
        + tuple(human_bytes(row[kind]) if kind in row else "-" for kind in kinds)
        + (human_bytes(row["bytes"]),)
        for entity, row in rows.items()
        if row["archives"]
    ]
    _table(out, ("person", "archives", *kinds, "together"), cells)
    about = "" if plan.known else "about "
    files = sum(item.files for item in plan.left)
    done = len(plan.items) - len(plan.left)
    lines = [
        f"to fetch: {len(plan.left):,} archives, {about}{human_bytes(plan.to_fetch)}"
        + (f" ({done:,} archives are already there)" if done else ""),
        f"on disk afterwards: about {files:,} files, {about}{human_bytes(plan.to_store)}; free: {human_bytes(plan.free)}",
        f"time: about {human_seconds(plan.seconds)} at {human_bytes(plan.rate)}/s"
        + (" (a guess; --rate gives another)" if plan.rate == DEFAULT_RATE else ""),
    ]
    if not plan.known:
        lines.append("sizes are estimates from the published totals, as if all segments were of the same length")
    for line in (*lines, *(f"note: {note}" for note in plan.notes)):
        _say(out, line)


def show_result(result: Result, out: Console) -> None:
    """Show what was done, and every failure."""
    done = result.fetched + result.mended + result.kept
    rate = result.received / max(result.seconds, 1e-9)
    _say(
        out,
        f"{done:,} archives in place ({result.kept:,} were already, {result.mended:,} mended): {result.files:,} files, "
        f"{human_bytes(result.bytes)}; received {human_bytes(result.received)} in {human_seconds(result.seconds)} "
        f"({human_bytes(rate)}/s)",
    )
    if result.pictures:
        _say(
            out,
            f"{result.pictures:,} pictures stored smaller: mean PSNR {result.mean_psnr:.2f} dB, "
            f"lowest {result.lowest_psnr:.2f} dB",
        )
    if result.unverified:
        _say(
            out, f"warning: no checksum is listed for {len(result.unverified):,} archives: {_some(result.unverified)}", "yellow"
        )
    for text in list(result.failures.values())[:_MOST_LINES]:
        _say(out, f"failed: {text}", "red")
    more = len(result.failures) - _MOST_LINES
    if more > 0:
        _say(out, f"... and {more:,} other failures; --json has all", "red")
    if result.not_tried:
        _say(out, f"{result.not_tried:,} archives were not tried after so many failures", "red")
    if not result.good:
        _say(out, "run the same command again to go on with what is missing", "red")


def show_verified(result: Verified, out: Console) -> None:
    """Show what a verification found."""
    missing = [entry.path for broken in result.broken for entry in broken.missing]
    changed = [entry.path for broken in result.broken for entry in broken.changed]
    _say(
        out,
        f"{result.archives:,} archives, {result.files:,} files, {human_bytes(result.bytes)} looked at: "
        f"{len(missing):,} missing, {len(changed):,} broken, {len(result.unfinished):,} archives unfinished",
    )
    for what, names in (("missing", missing), ("broken", changed), ("unfinished", [a.key for a in result.unfinished])):
        for name in names[:_MOST_LINES]:
            _say(out, f"{what}: {name}", "red")
        if len(names) > _MOST_LINES:
            _say(out, f"... and {len(names) - _MOST_LINES:,} others {what}", "red")


class _Bar:
    """One progress line for everything."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task, self._shown, self._done = bar, task, 0.0, 0

    def counted(self, done: int, total: int) -> None:
        self._update(f"{done:,} of {total:,}", done, total)

    def verified(self, count: int, archives: int) -> None:
        self._done += 1
        self._update(f"{self._done:,} of {archives:,} archives", self._done, archives)

    def fetched(self, progress: Progress) -> None:
        failed = f", {progress.failed} failed" if progress.failed else ""
        text = f"{progress.archives:,} of {progress.total:,} archives{failed}, {human_bytes(progress.received)}"
        self._update(text, progress.received, max(progress.expected, progress.received))

    def _update(self, text: str, done: int, total: int) -> None:
        if time.monotonic() - self._shown > 0.1:
            self._shown = time.monotonic()
            self._bar.update(self._task, description=text, completed=done, total=total)


@contextmanager
def progress_display(what: str, out: Console) -> Iterator[_Bar]:
    """A progress line on a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn(what), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        yield _Bar(bar, bar.add_task("", total=None))


def _table(out: Console, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(
            heading,
            overflow="fold",
            no_wrap=heading == "entity",
            justify="left" if heading in ("segment", "people") else "right",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def _say(out: Console, line: str, style: str | None = None) -> None:
    from rich.text import Text

    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    out.print(Text(plain), style=style, soft_wrap=True)


def _some(names: list[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (" and others" if len(names) > count else "")
