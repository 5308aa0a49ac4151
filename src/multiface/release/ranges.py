"""Sets of whole numbers as short text: ``"0-4,7"``."""

from __future__ import annotations

from collections.abc import Sequence


def positions_to_text(numbers: Sequence[int]) -> str:
    """Ascending ``numbers`` as ranges, ends inclusive: ``[0, 1, 2, 7]`` -> ``"0-2,7"``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def positions_from_text(text: str) -> list[int]:
    """The inverse of :func:`positions_to_text`."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
