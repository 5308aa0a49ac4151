"""The page that compares many models on one test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiface.data import Sample
from multiface.evaluate.compare import Compared, comparison_rows
from multiface.evaluate.report import INTERVALS, MEANING, chosen, label
from multiface.evaluate.run import TestRun
from multiface.evaluate.settle import TestPlan
from multiface.show.page import Page
from multiface.show.test_report import HALF, add_protocol
from multiface.show.test_report_stills import DIFFERENCE_NOTE, Still, stills_of


@dataclass(frozen=True)
class ModelStill:
    """One sample, the same for all models, as one model shows it."""

    name: str
    still: Still


def still_of(run: TestRun, compared: Compared) -> ModelStill | None:
    """The sample in the middle of the test as this model shows it."""
    samples: Sequence[Sample] = run.test_set.index.samples
    stills = stills_of(run, samples[len(samples) // 2 : len(samples) // 2 + 1])
    return ModelStill(compared.name, stills[0]) if stills else None


def write_models_page(path: Path, plan: TestPlan, models: list[Compared], stills: Sequence[ModelStill]) -> Path:
    """Write the self-contained page; returns its path."""
    tested = [model for model in models if model.results is not None]
    page = Page(
        f"{len(tested)} models compared",
        f"{len(plan.test_set.index)} samples of {plan.data.capture.name}. Protocol: {plan.label}.",
        facts=_facts(tested),
        picture=stills[0].still.truth if stills else None,
    )
    header, rows = comparison_rows(models)
    page.section("Comparison", f"Protocol {plan.label}. Means over all samples, each counting once.")
    reports = {name: MEANING[name] for name in ("frozen", "adapted", "published") if any(h.startswith(name) for h in header)}
    page.table(header, rows, f"Protocol {plan.label}. {INTERVALS}", notes=reports)
    for problem in (model for model in models if model.problem is not None):
        page.text(f"Not tested: {problem.name}: {problem.problem}")
    if stills:
        sample = stills[0].still.sample
        lead = (
            f"{sample.key.segment} {sample.key.frame}, camera {sample.camera}, nothing fitted. Pictures are in display colours"
        )
        page.section("One view, every model", f"{lead}; differences: {DIFFERENCE_NOTE}.")
        for shown in stills:
            page.compare(
                shown.still.truth, shown.still.shown, (shown.still.kind, shown.name), shown.name, span="half", max_width=HALF
            )
            page.figure(shown.still.difference, f"{shown.name}: difference", span="half", max_width=HALF)
    _segments(page, plan.label, tested)
    add_protocol(page, plan.test_set, plan.label, sorted({note for model in tested for note in model.notes}))
    return page.write(path)


def _facts(tested: Sequence[Compared]) -> list[tuple[str, str]]:
    facts = []
    for key, unit, best in (("psnr", " dB", max), ("tex_psnr", " dB", max), ("mesh_mm", " mm", min)):
        values = {m.name: chosen(m.results)[1].values.get(key) for m in tested if m.results is not None}
        there = {name: value for name, value in values.items() if value is not None and value == value}
        if there and not (key == "tex_psnr" and facts):
            name = best(there, key=lambda n: there[n])
            facts.append((f"{there[name]:.2f}{unit}", f"best {label(key).split(' (')[0]}: {name}"))
    return facts


def _segments(page: Page, title_of_test: str, tested: Sequence[Compared]) -> None:
    """One row for each segment, one column for each model."""
    results = {m.name: chosen(m.results)[1] for m in tested if m.results is not None}
    if not results:
        return
    first = next(iter(results.values()))
    key = "psnr" if "psnr" in first.values else "tex_denorm"
    rows = [
        [segment, *(f"{result.by_segment[segment].values[key]:.2f}" for result in results.values())]
        for segment in first.by_segment
    ]
    page.section("By segment", f"{label(key)}, nothing fitted where that was measured.").table(
        ["segment", *results], rows, f"Protocol {title_of_test}."
    )
