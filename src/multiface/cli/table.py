"""Tables of figures: a narrow terminal breaks names and makes two tables of one, and never breaks a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NAME_WIDTH = 12
"""Characters that the names of rows keep on a narrow terminal."""
KEPT = 2
"""Columns that say what a row is."""

Rows = list[list[str]]
Table = tuple[list[str], Rows]


def print_rows(out, title: str, header: list[str], rows: Iterable[list[str]], *, whole: bool = False) -> None:
    """A table; with ``whole`` a narrow terminal breaks the names of rows, never the numbers."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title=Text(title) if title else None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, name in enumerate(header):
        first = number == 0
        least = NAME_WIDTH if first and whole else None
        justify = "left" if first else "right"
        table.add_column(Text(name), justify=justify, overflow="fold", min_width=least, no_wrap=whole and not first)
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table, crop=False)


def tables_that_fit(header: list[str], rows: Rows, width: int, parts: Sequence[tuple[str, ...]]) -> list[Table]:
    """One table, or one for each part where that is wider than the terminal.

    Args:
        header, rows: Of the whole; the first two columns stay in every part.
        width: Of the terminal, in characters.
        parts: How the names of the columns of a part begin.
    """
    header = [name.replace(": ", ":\n").replace(" (", "\n(") for name in header]
    columns = list(zip(header, *rows))[1:]
    needed = 4 + NAME_WIDTH + sum(2 + max(len(line) for text in column for line in text.split("\n")) for column in columns)
    if needed <= width:
        return [(header, rows)]
    chosen = [[i for i, name in enumerate(header) if i < KEPT or name.startswith(part)] for part in parts]
    return [([header[i] for i in some], [[row[i] for i in some] for row in rows]) for some in chosen if len(some) > KEPT]
