"""``multiface test``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.train.config import TestConfig

if TYPE_CHECKING:
    from multiface.evaluate.protocols import Measurement
    from multiface.evaluate.run import TestRun

DESCRIPTION = (
    "Measure a model on the test segments: 'frozen' fits nothing; 'adapted' is the published protocol, which fits encoder "
    "and colour correction to the test frames. Every published option is accepted."
)
ALIASES = {"model_ckpt": "model_path", "framelist": "framelist_test"}


def main(argv: list[str]) -> int:
    config = parse(TestConfig, argv, command="test", description=DESCRIPTION, first="data_dir", aliases=ALIASES)
    from multiface.evaluate.report import to_json
    from multiface.evaluate.run import open_test

    out = console()
    run = open_test(config)
    with out.status("testing") as status:
        results = run.measure(pictures=_picture_writer(config, run), progress=lambda what: status.update(f"testing: {what}"))
    for note in run.notes:
        out.print(f"note: {note}", soft_wrap=True)
    print_table(out, results)
    write_results(config, results)
    if config.json:
        emit_json(to_json(results))
    return 0


def print_table(out, results: dict[str, Measurement | None]) -> None:
    """The table of results with what each column means."""
    from rich.table import Table

    from multiface.evaluate.report import meanings, table_rows

    header, rows = table_rows(results)
    samples = next((result.samples for result in results.values() if result is not None), 0)
    table = Table(title=f"{samples} test samples")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    for line in meanings(header):
        out.print(f"  {line}", soft_wrap=True)


def write_results(config: TestConfig, results: dict[str, Measurement | None]) -> None:
    """``result.txt`` in the published form and ``result.json``."""
    from multiface.core.files import write_text
    from multiface.evaluate.report import append_test_result, to_json

    for protocol in ("frozen", "adapted"):
        result = results[protocol]
        if result is not None:
            append_test_result(config.result_path / "result.txt", result, protocol)
    write_text(config.result_path / "result.json", json.dumps(to_json(results), indent=2) + "\n")


def _picture_writer(config: TestConfig, run: TestRun):
    from multiface.show.dumps import write_prediction_pictures

    def write(number, prediction, batch) -> None:
        if number < config.images:
            write_prediction_pictures(config.result_path / "pictures", f"val_0_{number}", prediction, run.step.normalisation)

    return write
