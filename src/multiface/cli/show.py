"""``multiface show``."""

from __future__ import annotations

import math

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.show.config import ShowConfig

DESCRIPTION = (
    "Look at one frame of a capture: all cameras, the tracked mesh on each photo, textures and the camera rig; and measure "
    "whether the calibration is right. Writes a page that opens in any browser, and PNG files, into --out."
)


def main(argv: list[str]) -> int:
    config = parse(ShowConfig, argv, command="show", description=DESCRIPTION, first="capture")
    from multiface.show.frame_report import show_frame

    out = console()
    with out.status("looking") as status:
        report = show_frame(config, lambda what, done, total: status.update(f"{what} ({done} of {total})"))
    out.print(_table(report))
    for note in report.notes:
        out.print(f"note: {note}", soft_wrap=True, markup=False)
    if math.isfinite(report.error_mm):
        out.print(f"reprojection error {report.error_mm:.2f} mm on the face, median of the cameras", soft_wrap=True)
    if report.verdict != "unknown":
        misfits = f": {', '.join(report.misfits)}" if report.misfits else ""
        out.print(f"calibration: {report.verdict}{misfits}", soft_wrap=True)
    out.print(f"page: {report.page}", soft_wrap=True, markup=False)
    if config.json:
        emit_json(report.to_json())
    return 0


def _table(report):
    from rich import box
    from rich.table import Table

    from multiface.show.frame_report import HEADER, cells

    table = Table(title=str(report.key), box=box.SIMPLE_HEAD)
    for number, name in enumerate(HEADER):
        table.add_column(name, justify="left" if number == 0 else "right")
    for name, alignment in report.cameras.items():
        table.add_row(name, *cells(alignment))
    return table
