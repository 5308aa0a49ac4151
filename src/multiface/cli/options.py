"""Options from dataclasses: tyro, with the spellings that the published documentation uses.

``--data_dir`` and ``--data-dir`` are the same, and an unambiguous beginning of a name is enough (``--test_segment`` for
``--test_segment_config``), as with the published commands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from multiface.core.errors import ArgumentError

T = TypeVar("T")


def parse(
    cls: type[T],
    argv: list[str],
    *,
    command: str,
    description: str,
    first: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> T:
    """Build the dataclass ``cls`` from ``argv``; ``--help`` prints and exits 0.

    Args:
        cls: Dataclass of the options; field docstrings become the help text.
        argv: The words after the command's name.
        command: Name of the command, for usage and messages.
        description: What the command does.
        first: Field that the first word stands for when it is not an option (``multiface train CAPTURE``).
        aliases: Other spellings of fields, for example ``{"model_path": "model_ckpt"}``.

    Raises:
        ArgumentError: an option is ambiguous, or a value was refused by the dataclass.
        SystemExit: with status 2 after tyro has said on stderr what is wrong.
    """
    import tyro

    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    words = expand_abbreviations(argv, names, aliases or {})
    if first is not None and words and not words[0].startswith("-"):
        words = [f"--{first}", *words]
    return tyro.cli(
        cls,
        args=words,
        prog=f"multiface {command}" + (f" [{first.upper()}]" if first else ""),
        description=description,
        use_underscores=True,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def named_options(
    cls: type, argv: list[str], *, first: str | None = None, aliases: Mapping[str, str] | None = None
) -> set[str]:
    """The fields of ``cls`` that the words name, also those that they set to what they are anyway; as for :func:`parse`."""
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    words = expand_abbreviations(argv, sorted(names), aliases)
    words = words[: words.index("--")] if "--" in words else words
    said = {word[2:].partition("=")[0].replace("-", "_") for word in words if word.startswith("--")}
    said |= {name.removeprefix("no_") for name in said}
    if first is not None and words and not words[0].startswith("-"):
        said.add(first)
    return said & names


def expand_abbreviations(argv: list[str], names: list[str], aliases: Mapping[str, str] | None = None) -> list[str]:
    """Replace every unambiguous beginning of a long option by the whole name, dashes and underscores alike.

    Everything after a bare ``--`` and everything that is no option stays as it is; so does an option that matches
    nothing, for the parser to complain about.
    """
    known = {name: name for name in (*names, "help")} | dict(aliases or {})
    out: list[str] = []
    for position, word in enumerate(argv):
        if word == "--":
            return out + argv[position:]
        out.append(_expand(word, known))
    return out


def _expand(word: str, known: dict[str, str]) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    key = name.replace("-", "_")
    if key.startswith("no_") and key[3:] in known:
        return word
    matches = {known[key]} if key in known else {known[candidate] for candidate in known if candidate.startswith(key)}
    if len(matches) > 1:
        raise ArgumentError(
            f"option --{name} is ambiguous",
            found=", ".join(f"--{match}" for match in sorted(matches)),
            remedy="Write the name in full",
        )
    return f"--{matches.pop()}{equals}{value}" if matches else word
