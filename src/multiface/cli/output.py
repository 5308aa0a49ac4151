"""Where a command writes: people read stderr, programs read the last line of stdout."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

_LOG_WIDTH = 160
"""Columns of a table in a file: it has no edge, and the 80 that are taken by default cut figures off."""


def console():
    """A rich console on stderr."""
    from rich.console import Console

    unbounded = not sys.stderr.isatty() and "COLUMNS" not in os.environ
    return Console(stderr=True, highlight=False, width=_LOG_WIDTH if unbounded else None)


def emit_json(result: dict[str, Any]) -> None:
    """Print ``result`` as one JSON object on one line of stdout; NaN and infinity become null (JSON has neither)."""
    try:
        line = json.dumps(result, allow_nan=False)
    except ValueError:  # looked for only then: a plan of the whole release has half a million values
        line = json.dumps(finite(result), allow_nan=False)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def finite(value: Any) -> Any:
    """``value`` with None for every NaN and infinity inside."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
