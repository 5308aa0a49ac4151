"""``multiface visualize``."""

from __future__ import annotations

import os
import time

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.show.config import VisualizeConfig

DESCRIPTION = (
    "Make videos of what a model does: photo, prediction and difference of every frame in time order, textures, warp fields, "
    "turntables, camera paths and walks between expressions; and one page with all of them. Weights are fixed. Every "
    "published option is accepted."
)
ALIASES = {"model_ckpt": "model_path"}


def main(argv: list[str]) -> int:
    config = parse(VisualizeConfig, argv, command="visualize", description=DESCRIPTION, first="data_dir", aliases=ALIASES)
    out = console()
    if int(os.environ.get("RANK", "0")) > 0:
        out.print("this process has nothing to do: videos are made by the first one", soft_wrap=True)
        return 0
    from multiface.show.visualize import visualize

    began = time.monotonic()
    with _Progress(out) as progress:
        shown = visualize(config, progress.update)
    seconds = time.monotonic() - began
    for note in shown.notes:
        out.print(f"note: {note}", soft_wrap=True, markup=False)
    for film in shown.films:
        out.print(_line(film), soft_wrap=True, markup=False)
    pictures = sum(film.pictures for film in shown.films)
    out.print(f"{pictures} pictures in {seconds:.1f} s", soft_wrap=True)
    if shown.page is not None:
        out.print(f"page: {shown.page}", soft_wrap=True, markup=False)
    if config.json:
        emit_json(
            {
                "videos": [film.to_json() for film in shown.films],
                "page": None if shown.page is None else str(shown.page),
                "notes": shown.notes,
                "seconds": seconds,
            }
        )
    return 0


def _line(film) -> str:
    parts = [f"{film.pictures} pictures"]
    if film.frames > film.pictures:
        parts.append(f"{film.frames - film.pictures} held")
    if film.sound:
        parts.append("with sound")
    if film.mean_psnr is not None:
        parts.append(f"{film.mean_psnr:.2f} dB")
    where = film.path if film.path is not None else "pictures only"
    what = f"{film.kind}: {film.title}" if film.segment else film.title
    return f"{what}: {', '.join(parts)}: {where}"


class _Progress:
    """One bar per video on stderr; nothing where stderr is no terminal."""

    def __init__(self, out) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=out, transient=True) if out.is_terminal else None
        self._task = None
        self._what = ""

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, what: str, done: int, total: int) -> None:
        if self._bars is None:
            return
        if what != self._what or self._task is None:
            self._bars.start()
            self._task = self._bars.add_task(what, total=total)
            self._what = what
        self._bars.update(self._task, completed=done, total=total, visible=done < total)
