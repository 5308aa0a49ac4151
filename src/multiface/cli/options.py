"""Options from dataclasses: tyro, with the spellings that the published documentation uses.

``--data_dir`` and ``--data-dir`` are the same, and an unambiguous beginning of a name is enough (``--test_segment`` for
``--test_segment_config``), as with the published commands.
"""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from multiface.core.errors import ArgumentError

T = TypeVar("T")


def parse(cls: type[T], argv: list[str], *, command: str, description: str) -> T:
    """Build the dataclass ``cls`` from ``argv``; ``--help`` prints and exits 0.

    Raises:
        ArgumentError: an option is ambiguous.
        SystemExit: with status 2 after tyro has said on stderr what is wrong.
    """
    import tyro

    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    return tyro.cli(
        cls,
        args=expand_abbreviations(argv, names),
        prog=f"multiface {command}",
        description=description,
    )


def expand_abbreviations(argv: list[str], names: list[str]) -> list[str]:
    """Replace every unambiguous beginning of a long option by the whole name, dashes and underscores alike.

    Everything after a bare ``--`` and everything that is no option stays as it is; so does an option that matches
    nothing, for the parser to complain about.
    """
    known = sorted(set(names) | {"help"})
    out: list[str] = []
    for position, word in enumerate(argv):
        if word == "--":
            return out + argv[position:]
        out.append(_expand(word, known))
    return out


def _expand(word: str, known: list[str]) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    key = name.replace("-", "_")
    if key in known or (key.startswith("no_") and key[3:] in known):
        return word
    matches = [candidate for candidate in known if candidate.startswith(key)]
    if len(matches) > 1:
        raise ArgumentError(
            f"option --{name} is ambiguous",
            found=", ".join(f"--{match}" for match in matches),
            remedy="Write the name in full",
        )
    return f"--{matches[0]}{equals}{value}" if matches else word
