"""Results as people and programs read them: a table, the published line of ``result.txt``, JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from multiface.core.files import storage_errors
from multiface.evaluate.protocols import Measurement

LABELS = {
    "tex": "texture (normalised)",
    "tex_denorm": "texture (0..255, squared)",
    "mesh": "mesh (normalised)",
    "mesh_mm": "mesh (mm)",
    "screen": "screen (normalised)",
    "psnr": "PSNR in mask (dB)",
    "ssim": "SSIM in mask",
}
MEANING = {
    "frozen": "nothing fitted, latent mean: the error on unseen frames",
    "adapted": "published protocol: encoder and colour correction fitted to the test frames first",
    "mean": "the mean mesh and mean texture predicted for every frame",
}


def table_rows(results: Mapping[str, Measurement | None]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a results table, one column for each protocol that was asked for."""
    columns = {name: result for name, result in results.items() if result is not None}
    rows = [[label, *(_number(result.values.get(key)) for result in columns.values())] for key, label in LABELS.items()]
    return ["", *columns], rows


def to_json(results: Mapping[str, Measurement | None]) -> dict[str, object]:
    """``{"samples": n, "frozen": {...} | null, "adapted": {...} | null, ...}``."""
    samples = next((result.samples for result in results.values() if result is not None), 0)
    return {"samples": samples, **{name: None if r is None else r.to_json() for name, r in results.items()}}


def append_training_result(
    path: Path, best: Mapping[str, float], validation: Mapping[str, float], train: Mapping[str, float]
) -> None:
    """Append the published line of a training run: best, last validation, and window means; all normalised."""
    line = _published_line(best, validation)
    line += (
        f", train screen loss {_f(train, 'screen')}, train tex loss {_f(train, 'tex')}, train vert loss {_f(train, 'verts')}"
    )
    _append(path, line)


def append_test_result(path: Path, result: Measurement, protocol: str) -> None:
    """Append the published line of a test, with the texture error denormalised as published, and the protocol's name.

    The published line has no label; the protocol stands on a line of its own before it, so that both can be told apart.
    """
    values = {"screen": result.values.get("screen"), "tex": result.values.get("tex_denorm"), "verts": result.values.get("mesh")}
    _append(path, f"# {protocol}: {MEANING[protocol]}")
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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def meanings(protocols: Sequence[str]) -> list[str]:
    """One sentence for each protocol."""
    return [f"{name}: {MEANING[name]}" for name in protocols if name in MEANING]
