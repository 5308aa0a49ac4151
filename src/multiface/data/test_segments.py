"""Which segments are held out for testing: prefixes of segment names."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from multiface.core.errors import CaptureError, FormatError

DEFAULT_TEST_SEGMENTS = ("EXP_ROM", "EXP_free_face")
"""The published default: the range-of-motion segment of V1 captures, the free-face segment of V2 captures."""


def read_test_segments(path: str | Path | None) -> tuple[str, ...]:
    """Prefixes of the test segments, from a JSON file ``{"segment": ["EXP_ROM", ...]}``; the published default for None.

    Raises:
        FormatError: the file is missing, is not JSON, or does not hold a list of names under ``segment``.
    """
    if path is None:
        return DEFAULT_TEST_SEGMENTS
    content = read_json(path, purpose="a test-segment file")
    prefixes = content.get("segment") if isinstance(content, dict) else None
    if not isinstance(prefixes, list) or not prefixes or not all(isinstance(prefix, str) and prefix for prefix in prefixes):
        raise FormatError(
            "a test-segment file must hold a list of segment names or their beginnings",
            where=path,
            expected='{"segment": ["EXP_ROM", ...]}',
            found=_short(content),
        )
    return tuple(prefixes)


def starts_with_any(segment: str, prefixes: Iterable[str]) -> bool:
    """Whether ``segment`` begins with one of ``prefixes``; upper and lower case differ."""
    return any(segment.startswith(prefix) for prefix in prefixes)


def check_test_segments(prefixes: Sequence[str], segments: Iterable[str], *, where: str | Path | None = None) -> None:
    """Refuse prefixes none of which begins any of ``segments``.

    Raises:
        CaptureError: it names the segments that look most like what was asked for.
    """
    segments = list(segments)
    if any(starts_with_any(segment, prefixes) for segment in segments):
        return
    nearest = nearest_names(prefixes, segments)
    raise CaptureError(
        "no segment of the capture begins with any of the test segments",
        where=where,
        expected=", ".join(prefixes),
        found=f"{len(segments)} segments" + (f", the nearest {', '.join(nearest)}" if nearest else ""),
        remedy="Name test segments that the capture has, in a JSON file given as --test_segment_config",
    )


def nearest_names(wanted: Iterable[str], available: Iterable[str], count: int = 3) -> list[str]:
    """Up to ``count`` of ``available``, those most like one of ``wanted`` (or like its beginning) first; any case."""
    wanted = [name.lower() for name in wanted]

    def likeness(name: str) -> float:
        lower = name.lower()
        return max(
            (difflib.SequenceMatcher(None, want, part).ratio() for want in wanted for part in (lower, lower[: len(want)])),
            default=0.0,
        )

    return sorted(available, key=lambda name: (-likeness(name), name))[:count]


def read_json(path: str | Path, *, purpose: str) -> object:
    """Content of a JSON file.

    Raises:
        FormatError: it cannot be read, or is not UTF-8 JSON; the message names the line.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise FormatError(
            f"{purpose} is not valid JSON: {error.msg}", where=f"{path}, line {error.lineno}, column {error.colno}"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{purpose} is not valid JSON", where=path, expected="UTF-8 text") from error
    except OSError as error:
        raise FormatError(f"{purpose} cannot be read: {error.strerror}", where=path) from error


def _short(value: object, limit: int = 80) -> str:
    text = json.dumps(value)
    return text if len(text) <= limit else text[:limit] + "..."
