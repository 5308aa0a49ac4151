"""Names chosen by the user: exact or with wildcards, and the nearest when there is none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from fnmatch import translate

from multiface.core.errors import ArgumentError

_MOST_SHOWN = 12


def match_names(patterns: Sequence[str], names: Iterable[str], *, what: str, option: str) -> list[str]:
    """Those of ``names`` that match any of ``patterns`` (all without patterns), in their order.

    A pattern is a name, or a glob with ``*``, ``?`` and ``[...]``; case counts.

    Raises:
        ArgumentError: a pattern matches nothing; suggests the nearest names.
    """
    names = list(dict.fromkeys(names))
    if not patterns:
        return names
    chosen: set[str] = set()
    for pattern in patterns:
        found = matches(pattern, names)
        if not found:
            raise ArgumentError(
                f"there is no {what} {pattern!r}", where=option, remedy=f"{suggestion(pattern, names)}{_remedy(what)}"
            )
        chosen.update(found)
    return [name for name in names if name in chosen]


def matches(pattern: str, names: Sequence[str]) -> list[str]:
    """Those of ``names`` that are ``pattern`` or that it matches as a glob."""
    if not re.search(r"[*?\[]", pattern):
        return [pattern] if pattern in names else []
    matcher = re.compile(translate(pattern))
    return [name for name in names if matcher.match(name)]


def suggestion(pattern: str, names: Sequence[str]) -> str:
    """What ``pattern`` was perhaps meant to be, as a sentence without a full stop."""
    bare = re.sub(r"[*?\[\]]", "", pattern).lower()
    lower: dict[str, str] = {name.lower(): name for name in names}
    near = [name for name in lower if bare and (name.startswith(bare) or bare in name)]
    near = near or difflib.get_close_matches(bare, lower, n=3, cutoff=0.5)
    if near:
        return "Perhaps you mean " + " or ".join(lower[name] for name in near[:3])
    shown = ", ".join(names[:_MOST_SHOWN])
    return f"There are {shown}" + (f" and {len(names) - _MOST_SHOWN} others" if len(names) > _MOST_SHOWN else "")


def _remedy(what: str) -> str:
    listing = {"person": "people", "segment": "segments", "camera": "cameras"}.get(what)
    return f". multiface download --list {listing} shows all" if listing else ""
