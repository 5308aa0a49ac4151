"""Many models on one test: which checkpoints a folder holds, and what each of them gets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from multiface.core.errors import CheckpointError, MultifaceError
from multiface.evaluate.figures import Published
from multiface.evaluate.measurement import Measurement
from multiface.evaluate.report import cell, label, measured_keys, to_json
from multiface.evaluate.run import TestRun, match_model
from multiface.evaluate.settle import TestPlan
from multiface.models import ModelInfo, load_model
from multiface.train.devices import choose_device

_PREFERENCE = ("best_model.safetensors", "model.safetensors", "best_model.pth", "model.pth")
_SUFFIXES = (".safetensors", ".pth")
_DEPTH = 4
_PUBLISHED_FOLDER = re.compile(r"^(?P<entity>[A-Za-z0-9]+)--GHS-[a-z]+(_nosl)?$")
_COLUMNS = {
    "frozen": ("psnr", "ssim", "lpips", "tex_denorm", "mesh_mm"),
    "adapted": ("psnr", "tex_denorm", "mesh"),
}


@dataclass(frozen=True)
class Compared:
    """What one model got.

    Attributes:
        name: Its path below the folder that was searched.
        path: The checkpoint.
        info: Architecture and sizes; None when it could not be read.
        parameters: Number of weights.
        results: Measurements by report; None when it could not be tested.
        published: Published figure of this person and architecture.
        notes: What the user should know.
        problem: Why it was not tested, or None.
    """

    name: str
    path: Path
    info: ModelInfo | None = None
    parameters: int = 0
    results: dict[str, Measurement | None] | None = None
    published: Published | None = None
    notes: tuple[str, ...] = ()
    problem: str | None = None

    def to_json(self) -> dict[str, object]:
        sizes = None if self.info is None else {"arch": self.info.arch, **self.info.sizes(), "parameters": self.parameters}
        result = None if self.results is None else to_json(self.results, self.published)
        return {
            "name": self.name,
            "path": str(self.path),
            "model": sizes,
            "result": result,
            "notes": list(self.notes),
            "problem": self.problem,
        }


def find_checkpoints(folder: Path) -> list[Path]:
    """One checkpoint of every folder below ``folder``: ``best_model`` where there is one, else ``model``, else all others.

    Raises:
        CheckpointError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise CheckpointError("--models is no folder", where=folder, expected="a folder of runs or of checkpoints")
    found: list[Path] = []
    for where, folders, files in os.walk(folder):
        folders.sort()
        preferred = [name for name in _PREFERENCE if name in files]
        if preferred or len(Path(where).relative_to(folder).parts) >= _DEPTH:
            folders.clear()  # below a run's models are its training states
        others = sorted(name for name in files if name.endswith(_SUFFIXES) and name not in _PREFERENCE)
        found += [Path(where) / name for name in (*preferred[:1], *others)]
    if not found:
        raise CheckpointError(
            "there is no checkpoint in this folder", where=folder, expected=f"files ending in {' or '.join(_SUFFIXES)}"
        )
    return found


def compare_models(
    plan: TestPlan, folder: Path, *, say: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Compared, TestRun | None]]:
    """Test the models of a folder one after another; only one is in memory at a time.

    A model that cannot be tested on this capture is reported with the reason.
    """
    device = choose_device(plan.config.device)
    paths = find_checkpoints(folder)
    for number, path in enumerate(paths, 1):
        name = _name(path, folder)
        say(f"{name} ({number} of {len(paths)})")
        compared, run = Compared(name, path), None
        try:
            _check_person(path, plan)
            model = load_model(path)
            compared = replace(compared, info=model.info, parameters=sum(p.numel() for p in model.parameters()))
            run = match_model(plan, model, device)
            results = run.measure(progress=lambda what, name=name: say(f"{name}: {what}"))
            compared = replace(compared, results=results, published=run.published, notes=tuple(run.notes))
        except MultifaceError as error:
            compared = replace(compared, problem=str(error))
        yield compared, run


def comparison_rows(models: list[Compared], *, brief: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the comparison, one row for each model; sizes come last, figures are what one looks for.

    Args:
        models: What they got.
        brief: For a terminal: tested models only, without sizes and intervals.
    """
    tested = [m for m in models if m.results is not None]
    reports = {name: [m.results[name] for m in tested if m.results and m.results.get(name)] for name in _COLUMNS}
    columns = []
    for name, wanted in _COLUMNS.items():
        there = measured_keys(result for result in reports[name] if result is not None)
        columns += [(name, key) for key in wanted if key in there]
    published = [key for key in ("tex_denorm", "mesh") if any(m.published and key in m.published.values for m in tested)]
    header = ["model", "arch", *(f"{name}: {_short(key)}" for name, key in columns)]
    header += [*(f"published: {_short(key)}" for key in published), *([] if brief else ["T", "Z", "weights (M)"])]
    return header, [_row(model, columns, published, brief) for model in (tested if brief else models)]


def _row(model: Compared, columns: list[tuple[str, str]], published: list[str], brief: bool) -> list[str]:
    info = model.info
    name = [model.name, "-" if info is None else info.arch]
    sizes = ["-"] * 3 if info is None else [str(info.tex_size), str(info.nlatent), f"{model.parameters / 1e6:.1f}"]
    sizes = [] if brief else sizes
    if model.results is None:
        return [*name, *(["not tested"] * len(columns)), *(["-"] * len(published)), *sizes]
    results = [(model.results.get(name), key) for name, key in columns]
    cells = ["-" if result is None else cell(result, key, interval=not brief) for result, key in results]
    figures = {} if model.published is None else model.published.values
    return [*name, *cells, *(f"{figures[key]:.4f}" if key in figures else "-" for key in published), *sizes]


def _short(key: str) -> str:
    return {"tex_denorm": "texture", "mesh": "mesh (norm.)"}.get(key) or label(key).replace(" in mask", "").strip()


def _name(path: Path, folder: Path) -> str:
    relative = path.relative_to(folder)
    return str(relative.parent) if path.name in _PREFERENCE and relative.parent != Path() else str(relative)


def _check_person(path: Path, plan: TestPlan) -> None:
    """Published checkpoints say whose they are by the name of their folder alone."""
    match, entity = _PUBLISHED_FOLDER.match(path.parent.name), plan.data.capture.entity
    if match and entity is not None and match["entity"] != entity:
        raise CheckpointError("this is a model of another person", where=path, expected=entity, found=match["entity"])
