"""Results as people and programs read them: tables, the published line of ``result.txt``, JSON, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from multiface.core.files import storage_errors
from multiface.evaluate.figures import Published
from multiface.evaluate.measurement import PICTURE_KEYS, Measurement, ordered_keys

LABELS = {
    "tex": "texture (normalised)",
    "tex_denorm": "texture (0..255, squared)",
    "tex_psnr": "texture PSNR, seen texels (dB)",
    "mesh": "mesh (normalised)",
    "mesh_mm": "mesh (mm)",
    "screen": "screen (normalised)",
    "psnr": "PSNR in mask (dB)",
    "ssim": "SSIM in mask",
    "lpips": "LPIPS in mask",
}
MEANING = {
    "frozen": "nothing fitted, latent mean: the error on unseen frames",
    "adapted": "published protocol: encoder and colour correction fitted to the test frames first",
    "mean": "the mean mesh and mean texture predicted for every frame",
    "published": "what the published system reports for this person and architecture, adapted",
}
_BRIEF = {
    "tex_denorm": "texture",
    "tex_psnr": "texture PSNR",
    "mesh_mm": "mesh mm",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
}
INTERVALS = "\u00b1: 95 % confidence over frames, which count as independent; metrics are in linear camera units"
Results = Mapping[str, Measurement | None]


def label(key: str) -> str:
    """What a metric is called in tables."""
    if key.startswith("mesh_mm_"):
        return f"  {key.removeprefix('mesh_mm_')} (mm)"
    return LABELS[key]


def table_rows(results: Results, published: Published | None = None) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a results table, one column for each protocol that was asked for, and the published figure."""
    columns = {name: result for name, result in results.items() if result is not None}
    keys = measured_keys(columns.values())
    rows = [[label(key), *(cell(result, key) for result in columns.values())] for key in keys]
    if published is None:
        return ["", *columns], rows
    rows = [[*row, _number(published.values.get(key))] for key, row in zip(keys, rows)]
    return ["", *columns, "published"], rows


def group_rows(results: Results, kind: str, *, brief: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table with one row for each segment or camera.

    Args:
        results: Measurements by report; frozen is shown where there is one.
        kind: ``"segments"`` or ``"cameras"``.
        brief: Only the metrics that fit a terminal, without intervals.
    """
    name, result = chosen(results)
    groups = result.by_segment if kind == "segments" else result.by_camera
    keys = [key for key in result.keys if (key in _BRIEF if brief else key not in ("tex", "screen", "mesh"))]
    keys.sort(key=lambda key: key not in PICTURE_KEYS)  # what most people look for first
    shown = [[group, str(m.samples), *(cell(m, key, interval=not brief) for key in keys)] for group, m in groups.items()]
    names = [_BRIEF[key] if brief else label(key).strip() for key in keys]
    return [f"{kind[:-1]} ({name})", "samples", *names], shown


def chosen(results: Results) -> tuple[str, Measurement]:
    """The report that details are shown of: frozen where there is one."""
    for name in ("frozen", "adapted"):
        result = results.get(name)
        if result is not None:
            return name, result
    return "frozen", Measurement(0, {})


def measured_keys(results: Iterable[Measurement]) -> tuple[str, ...]:
    """The metrics that any of the results has, in the order of tables."""
    return ordered_keys({key: None for result in results for key in result.values})


def to_json(results: Results, published: Published | None = None) -> dict[str, object]:
    """``{"samples": n, "frozen": {...} | null, "adapted": ..., "mean": ..., "details": {"frozen": ...}, "published": ...}``.

    A report is metric -> mean; its details are intervals, and means by segment and by camera.
    """
    there = {name: result for name, result in results.items() if result is not None}
    return {
        "samples": next((result.samples for result in there.values()), 0),
        **{name: None if result is None else result.to_json() for name, result in results.items()},
        "details": {name: result.details_json() for name, result in there.items()},
        "published": None if published is None else published.to_json(),
    }


def summary_csv(results: Results, protocol: str) -> str:
    """All means as CSV: report, group, name, samples, frames, metric, value, ci95, protocol."""
    return _csv(_SUMMARY, _summary(results, protocol))


def comparison_csv(results: Mapping[str, Results], protocol: str) -> str:
    """The same for many models, with the model's name in front."""
    rows = [[name, *row] for name, of_model in results.items() for row in _summary(of_model, protocol)]
    return _csv(["model", *_SUMMARY], rows)


def samples_csv(results: Results, protocol: str) -> str:
    """Every sample's values as CSV, one row for each report and sample."""
    tables = {name: r.table for name, r in results.items() if r is not None and r.table is not None and name != "mean"}
    columns = list(dict.fromkeys(column for table in tables.values() for column in table.columns))
    rows = []
    for report, table in tables.items():
        values = zip(*(_exact_column(table.column(name)) for name in columns))
        names = ((key.segment, key.frame, camera) for key, camera in table.samples)
        rows += [(report, *who, *row, protocol) for who, row in zip(names, values)]
    return _csv(["report", "segment", "frame", "camera", *columns, "protocol"], rows)


def cell(result: Measurement, key: str, *, interval: bool = True) -> str:
    """A value, with its interval where there is one."""
    value, half = result.values.get(key), result.intervals.get(key) if interval else None
    digits = _digits(key)
    return _number(value, digits) if half is None else f"{_number(value, digits)} \u00b1 {half:.{digits}f}"


def append_training_result(
    path: Path, best: Mapping[str, float], validation: Mapping[str, float], train: Mapping[str, float]
) -> None:
    """Append the published line of a training run: best, last validation, and window means; all normalised."""
    line = _published_line(best, validation)
    line += (
        f", train screen loss {_f(train, 'screen')}, train tex loss {_f(train, 'tex')}, train vert loss {_f(train, 'verts')}"
    )
    _append(path, line)


def append_test_result(path: Path, result: Measurement, protocol: str, test: str = "") -> None:
    """Append the published line of a test, with the texture error denormalised as published, and the protocol's name.

    The published line has no label; the protocol stands on a line of its own before it, so that both can be told apart.
    """
    values = {"screen": result.values.get("screen"), "tex": result.values.get("tex_denorm"), "verts": result.values.get("mesh")}
    _append(path, f"# {protocol}: {MEANING[protocol]}" + (f"; test: {test}" if test else ""))
    _append(path, _published_line(values, values))


def _published_line(best: Mapping[str, float | None], last: Mapping[str, float | None]) -> str:
    return (
        f"Best screen loss {_f(best, 'screen')}, best tex loss {_f(best, 'tex')},  best vert loss {_f(best, 'verts')}, "
        f"screen loss {_f(last, 'screen')}, tex loss {_f(last, 'tex')}, vert_loss {_f(last, 'verts')}"
    )


def _f(values: Mapping[str, float | None], key: str) -> str:
    value = values.get(key)
    return "%f" % (float("nan") if value is None else value)


def _append(path: Path, line: str) -> None:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" + line)


_SUMMARY = ("report", "group", "name", "samples", "frames", "metric", "value", "ci95", "protocol")


def _summary(results: Results, protocol: str) -> list[list[object]]:
    rows: list[list[object]] = []
    for report, result in results.items():
        if result is None:
            continue
        groups = [("all", "", result)]
        groups += [("segment", name, group) for name, group in result.by_segment.items()]
        groups += [("camera", name, group) for name, group in result.by_camera.items()]
        for group, name, m in groups:
            counts = (group, name, m.samples, m.frames)
            rows += [[report, *counts, key, _exact(m.values[key]), _exact(m.intervals.get(key)), protocol] for key in m.keys]
    return rows


def _digits(key: str) -> int:
    return 2 if key.endswith("psnr") else 3 if key.startswith("mesh_mm") else 4


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None or value != value else f"{value:.{digits}f}"


def _exact(value: float | None) -> str:
    return "" if value is None or value != value else repr(float(f"{value:.8g}"))


def _exact_column(values: np.ndarray) -> list[str]:
    """:func:`_exact` of every value, all formatted at once."""
    rounded = map(float, ("%.8g " * len(values) % tuple(values.tolist())).split())
    return ["" if value != value else repr(value) for value in rounded]


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def meanings(protocols: Sequence[str]) -> list[str]:
    """One sentence for each protocol."""
    return [f"{name}: {MEANING[name]}" for name in protocols if name in MEANING]
