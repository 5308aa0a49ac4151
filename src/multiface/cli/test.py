"""``multiface test``."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

from multiface.cli.options import expand_abbreviations, parse
from multiface.cli.output import console, emit_json, finite
from multiface.cli.processes import one_voice
from multiface.cli.stages import Stages
from multiface.cli.table import print_rows, tables_that_fit
from multiface.core.errors import ArgumentError
from multiface.core.memory import without_collection
from multiface.core.parallel import Background
from multiface.train.config import TestConfig

if TYPE_CHECKING:
    from pathlib import Path

    from multiface.evaluate.compare import Compared
    from multiface.evaluate.measurement import Measurement
    from multiface.evaluate.resolve import TestSet
    from multiface.evaluate.run import TestRun

DESCRIPTION = (
    "Measure a model on held-out samples: 'frozen' fits nothing; 'adapted' is the published protocol, which fits encoder "
    "and colour correction to the test frames. --protocol names frames and cameras exactly; --models compares all models of "
    "a folder. Every published option is accepted."
)
ALIASES = {"model_ckpt": "model_path", "framelist": "framelist_test"}
PARTS = (("frozen",), ("adapted", "published"))
"""How the columns of a comparison begin that stand in one table where the terminal is narrow."""


def main(argv: list[str]) -> int:
    config = parse(TestConfig, argv, command="test", description=DESCRIPTION, first="data_dir", aliases=ALIASES)
    with one_voice():
        _refuse_several_processes()
    given = given_options(argv)
    if config.models is not None:
        if config.model_path is not None:
            raise ArgumentError("--model_path and --models cannot be given together", remedy="Leave one of them out")
        return _compare(config, config.models, given)
    return _test(config, given)


def _refuse_several_processes() -> None:
    """Several would write over each other's results."""
    from multiface.train.launch import read_launch

    if read_launch().world_size > 1:
        raise ArgumentError(
            "testing runs as one process",
            found=f"{read_launch().world_size} processes",
            remedy="Start it without a launcher; `multiface train-all --test` tests many models, one on each GPU",
        )


def given_options(argv: list[str]) -> frozenset[str]:
    """Names of the options in ``argv``, whatever way they are spelled."""
    names = [field.name for field in fields(TestConfig)]
    words = [word for word in expand_abbreviations(argv, names, ALIASES) if word.startswith("--")]
    spelled = {word[2:].partition("=")[0].replace("-", "_").removeprefix("no_") for word in words}
    return frozenset(spelled & set(names))


def _test(config: TestConfig, given: frozenset[str]) -> int:
    stages = Stages()
    with without_collection():
        from multiface.evaluate.run import open_test

    stages.over("imports")
    out = console()
    run = open_test(config, given=given)
    stages.over("opening")
    with out.status("testing") as status, Background() as background:
        pictures = _picture_writer(config, run, background)
        results = run.measure(pictures=pictures, progress=lambda what: status.update(f"testing: {what}"))
    stages.over("measuring")
    for note in run.notes:
        out.print(f"note: {note}", soft_wrap=True, markup=False)
    print_table(out, results, run)
    result = write_results(config, results, run)
    stages.over("tables")
    if config.page:
        from multiface.show.test_report import write_test_page

        with out.status("writing the page"):
            page = write_test_page(config.result_path / "report.html", run, results)
        out.print(f"page: {page}", soft_wrap=True, markup=False)
        result["page"] = str(page)
        stages.over("page")
    if config.json:
        emit_json({**result, "seconds": stages.seconds})
    return 0


def print_table(out, results: dict[str, Measurement | None], run: TestRun | None = None) -> None:
    """The table of results with what each column means, and one line for each segment and camera."""
    from multiface.evaluate.report import INTERVALS, group_rows, meanings, table_rows

    header, rows = table_rows(results, None if run is None else run.published)
    samples = next((result.samples for result in results.values() if result is not None), 0)
    title = f"{samples} test samples" + ("" if run is None else f", protocol {run.label}")
    print_rows(out, title, header, rows, whole=True)
    for line in [*meanings(header), INTERVALS]:
        out.print(f"  {line}", soft_wrap=True, markup=False)
    if run is not None:
        _print_digest(out, run.test_set)
        for kind in ("segments", "cameras"):
            header, rows = group_rows(results, kind, brief=True)
            if 1 < len(rows) <= 60:
                print_rows(out, f"by {kind[:-1]}, protocol {run.label}", header, rows)


def write_results(config: TestConfig, results: dict[str, Measurement | None], run: TestRun | None = None) -> dict:
    """``result.txt`` in the published form, ``result.json``, ``result.csv``, ``samples.csv`` and ``protocol.json``."""
    from multiface.core.files import write_text
    from multiface.evaluate.report import append_test_result, samples_csv, summary_csv, to_json

    folder = config.result_path
    label = "" if run is None else run.label
    for protocol in ("frozen", "adapted"):
        measured = results[protocol]
        if measured is not None:
            digest = "" if run is None else f"; samples SHA-256 {run.test_set.digest}"
            append_test_result(folder / "result.txt", measured, protocol, label + digest)
    result = to_json(results, None if run is None else run.published)
    if run is not None:
        result["protocol"] = {**run.test_set.to_json(), "label": run.label, "changes": list(run.changes)}
        result["notes"] = run.notes
        write_text(folder / "protocol.json", json.dumps(run.test_set.exact(), indent=1) + "\n")
    write_text(folder / "result.json", json.dumps(finite(result), indent=2) + "\n")
    write_text(folder / "result.csv", summary_csv(results, label))
    write_text(folder / "samples.csv", samples_csv(results, label))
    return result


def _compare(config: TestConfig, folder: Path, given: frozenset[str]) -> int:
    from multiface.core.files import make_folder

    with without_collection():
        from multiface.evaluate.compare import compare_models, comparison_rows, find_checkpoints
        from multiface.evaluate.settle import plan_test

    out = console()
    find_checkpoints(folder)  # a folder without models is refused before anything is written
    plan = plan_test(config, given)
    make_folder(config.result_path)
    models: list[Compared] = []
    stills = []
    with out.status("testing") as status:
        for compared, run in compare_models(plan, folder, say=lambda what: status.update(f"testing {what}")):
            models.append(compared)
            if run is not None and compared.results is not None and config.page:
                from multiface.show.test_report_models import still_of

                stills.append(still_of(run, compared))
    label = plan.label
    for header, rows in tables_that_fit(*comparison_rows(models, brief=True), out.width, PARTS):
        print_rows(out, f"{len(plan.test_set.index)} test samples, protocol {label}", header, rows, whole=True)
    _print_digest(out, plan.test_set)
    for note in _shared_notes(models):
        out.print(f"note: {note}", soft_wrap=True, markup=False)
    failed = [model for model in models if model.problem is not None]
    for model in failed:
        out.print(f"not tested: {model.name}: {model.problem}", soft_wrap=True, markup=False)
    result = write_comparison(config, plan, models)
    if config.page:
        from multiface.show.test_report_models import write_models_page

        page = write_models_page(config.result_path / "report.html", plan, models, [s for s in stills if s is not None])
        out.print(f"page: {page}", soft_wrap=True, markup=False)
        result["page"] = str(page)
    if config.json:
        emit_json(result)
    return 2 if failed else 0


def write_comparison(config: TestConfig, plan, models: list[Compared]) -> dict:
    """``result.json`` and ``result.csv`` of many models."""
    from multiface.core.files import write_text
    from multiface.evaluate.report import comparison_csv

    result = {
        "samples": len(plan.test_set.index),
        "protocol": {**plan.test_set.to_json(), "label": plan.label, "changes": list(plan.changes)},
        "models": [model.to_json() for model in models],
    }
    write_text(config.result_path / "result.json", json.dumps(finite(result), indent=2) + "\n")
    tested = {model.name: model.results for model in models if model.results is not None}
    write_text(config.result_path / "result.csv", comparison_csv(tested, plan.label))
    write_text(config.result_path / "protocol.json", json.dumps(plan.test_set.exact(), indent=1) + "\n")
    return result


def _shared_notes(models: list[Compared]) -> list[str]:
    """Every note once, with the models it is about when these are not all."""
    tested = [model for model in models if model.results is not None]
    about: dict[str, list[str]] = {}
    for model in tested:
        for note in model.notes:
            about.setdefault(note, []).append(model.name)
    return [note if len(names) == len(tested) else f"{', '.join(names)}: {note}" for note, names in about.items()]


def _print_digest(out, test_set: TestSet) -> None:
    told = f"samples: SHA-256 {test_set.digest}; equal ones mean the same frames and cameras"
    out.print(f"  {told}", soft_wrap=True, markup=False)


def _picture_writer(config: TestConfig, run: TestRun, background: Background):
    """Writes the pictures of the first batches while the next ones are measured."""
    from multiface.show.dumps import write_prediction_pictures

    def write(number, prediction, batch) -> None:
        if number < config.images:
            folder, tag = config.result_path / "pictures", f"val_0_{number}"
            write_prediction_pictures(folder, tag, prediction, run.step.normalisation, background)

    return write
