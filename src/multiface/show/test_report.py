"""The page of a test: results, the worst frames first, every segment and camera, and exactly what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from multiface.data import Sample
from multiface.evaluate.measurement import Measurement, larger_is_better
from multiface.evaluate.regions import regions_of
from multiface.evaluate.report import INTERVALS, MEANING, Results, chosen, group_rows, label, table_rows
from multiface.evaluate.resolve import TestSet
from multiface.evaluate.run import TestRun
from multiface.show.page import Page
from multiface.show.panels import fit_width
from multiface.show.test_report_regions import region_map
from multiface.show.test_report_stills import DIFFERENCE_NOTE, Still, stills_of
from multiface.show.text import counted

HALF = 900
"""Pixels that are enough for a picture half as wide as the page, on any screen."""

_MOST_CURVES = 6
_UNITS = {"psnr": " dB", "tex_psnr": " dB", "mesh_mm": " mm"}
_TOLD = ("psnr", "ssim", "lpips", "tex_denorm", "tex_psnr", "mesh_mm")


def write_test_page(path: Path, run: TestRun, results: Results) -> Path:
    """Write the self-contained page of one model's test; returns its path."""
    name, result = chosen(results)
    key = "psnr" if "psnr" in result.values else "tex_psnr" if "tex_psnr" in result.values else "mesh_mm"
    rows = result.worst(key, run.config.worst)
    samples = [] if result.table is None else [result.table.samples[row] for row in rows]
    stills = {still.sample: still for still in stills_of(run, samples)}
    hero = next(iter(stills.values()), None)
    page = Page(
        f"Test of {_model_name(run)}",
        _summary(run, result),
        facts=_facts(results),
        picture=None if hero is None else fit_width(np.concatenate([hero.truth, hero.shown], axis=1), HALF),
    )
    _results(page, run, results)
    _worst(page, name, key, result, rows, stills)
    _over_time(page, name, key, result)
    _groups(page, run.label, results)
    _regions(page, run)
    add_protocol(page, run.test_set, run.label, run.notes)
    return page.write(path)


def _model_name(run: TestRun) -> str:
    path = run.config.model_path
    return run.step.model.info.arch if path is None else f"{path.parent.name or path.stem} ({run.step.model.info.arch})"


def _summary(run: TestRun, result: Measurement) -> str:
    index = run.test_set.index
    segments = counted(len({key.segment for key in index.frames}), "segment")
    cameras = counted(len(index.cameras), "camera")
    frames = counted(result.frames, "frame")
    seen = f"{result.samples} samples: {frames} of {segments}, seen by {cameras} of {run.data.capture.name}"
    return f"{seen}. Protocol: {run.label}."


def _facts(results: Results) -> list[tuple[str, str]]:
    facts = []
    for name in ("frozen", "adapted"):
        result = results.get(name)
        if result is None:
            continue
        for key, what in (("psnr", "PSNR in the mask"), ("tex_psnr", "texture PSNR"), ("mesh_mm", "mesh error")):
            if key in result.values and not (key == "tex_psnr" and "psnr" in result.values):
                digits = 1 if key.endswith("psnr") else 2
                facts.append((f"{result.values[key]:.{digits}f}{_UNITS[key]}", f"{what}, {name}"))
    return facts


def _results(page: Page, run: TestRun, results: Results) -> None:
    header, rows = table_rows(results, run.published)
    page.section("Results", f"Protocol {run.label}. Means over all samples, each counting once.")
    notes = {name: MEANING[name] for name in header if name in MEANING}
    page.table(header, rows, f"Protocol {run.label}. {INTERVALS}", notes=notes)


def _worst(page: Page, name: str, key: str, result: Measurement, rows: list[int], stills: Mapping[Sample, Still]) -> None:
    if result.table is None or not rows:
        return
    lead = f"By {label(key)} of the {name} report, the worst first, one camera of each frame. Pictures are in display colours"
    fitted = "" if name == "frozen" else ", predicted before anything was fitted"
    page.section("Worst frames", f"{lead}{fitted}; differences were measured in linear camera units before.")
    for number, row in enumerate(rows, 1):
        sample = result.table.samples[row]
        still = stills.get(sample)
        if still is None:
            continue
        values = {k: result.table.column(k)[row] for k in _TOLD if k in result.table.columns}
        told = ", ".join(
            f"{label(k).split(' (')[0].split(',')[0].replace(' in mask', '')} {v:.3g}{_UNITS.get(k, '')}"
            for k, v in values.items()
        )
        where = f"{number}. {sample.key.segment} {sample.key.frame}, camera {sample.camera}"
        page.compare(still.truth, still.shown, (still.kind, "model"), f"{where}: {told}", span="half", max_width=HALF)
        page.figure(still.difference, f"{where}: {DIFFERENCE_NOTE}", span="half", max_width=HALF)


def _over_time(page: Page, name: str, key: str, result: Measurement) -> None:
    """Mean over the cameras of every frame, one curve for each segment; the longest segments when there are many."""
    if result.table is None:
        return
    frames: dict[str, dict[str, list[float]]] = {}
    for sample, value in zip(result.table.samples, result.table.column(key)):
        if np.isfinite(value):
            frames.setdefault(sample.key.segment, {}).setdefault(sample.key.frame, []).append(value)
    longest = sorted((s for s in frames if len(frames[s]) > 1), key=lambda s: -len(frames[s]))[:_MOST_CURVES]
    if not longest:
        return
    series = {}
    for segment in longest:
        means = [float(np.mean(values)) for _, values in sorted(frames[segment].items())]
        series[segment] = (list(range(1, len(means) + 1)), means)
    better = "higher" if larger_is_better(key) else "lower"
    more = "" if len(longest) == len(frames) else f" The {len(longest)} longest of {len(frames)} segments are drawn."
    page.section("Over time", f"{label(key)} of the {name} report, mean over the cameras; {better} is better.{more}")
    page.curves(series, x_label="frame of the segment", y_label=label(key), span="full")


def _groups(page: Page, title_of_test: str, results: Results) -> None:
    for kind, title in (("segments", "By segment"), ("cameras", "By camera")):
        header, rows = group_rows(results, kind)
        page.section(title).table(header, rows, f"Protocol {title_of_test}. {INTERVALS}")


def _regions(page: Page, run: TestRun) -> None:
    regions = regions_of(run.data.topology, run.test_set.protocol.regions)
    if regions:
        counts = ", ".join(f"{name} {len(ids)}" for name, ids in regions.items())
        page.section("Regions of the mesh error", f"Vertices of each region: {counts}.")
        page.figure(
            region_map(run.data.topology, regions, run.step.normalisation), "Vertices on the mean texture", max_width=700
        )


def add_protocol(page: Page, test_set: TestSet, title: str, notes: list[str]) -> None:
    """The section that says what exactly was measured: protocol, digests, what is missing, notes."""
    facts = test_set.to_json()
    page.section("What was measured", test_set.protocol.about)
    missing = test_set.missing_text() or "nothing"
    page.table(
        ["", "value"],
        [
            ["protocol", f"{title}, version {facts['version']}"],
            ["SHA-256 of the protocol", facts["protocol_sha256"]],
            ["SHA-256 of the samples", facts["samples_sha256"]],
            ["missing against the protocol", missing],
            ["pairs without a picture, left out", test_set.absent_pairs],
            ["masks", "textures: texels that the camera saw; pictures: pixels that the mesh covers"],
        ],
        "Equal SHA-256 of the samples means the same frames and cameras; protocol.json beside this page names them all.",
    )
    if notes:
        page.text(*[f"Note: {note}." for note in notes])
