"""Protocols: named, versioned files that say exactly what a test is made of.

A protocol names people, segments, frames and cameras, what is compared under which masks, what is fitted beforehand and how
often. ``protocols/*.json`` in this room are built in; a file of one's own has the same form (docs/testing.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from multiface.core.errors import ArgumentError, FormatError
from multiface.data.test_segments import nearest_names, read_json
from multiface.evaluate.regions import Polygons, check_polygons

FORMAT = 1
REPORTS = ("frozen", "adapted")
ADAPTED_OPTIONS = {
    "passes": int, "val_num": int, "val_batch_size": int, "lr": float, "seed": int, "lambda_verts": float, "lambda_tex": float,
    "lambda_screen": float, "lambda_kl": float,
}  # fmt: skip
"""What decides an adapted measurement: options of ``multiface test`` and their types."""

_MASKS = {"texture": "seen", "picture": "covered"}
_FIELDS = {
    "format", "name", "version", "about", "people", "anyone", "segments", "frames", "pairs", "masks", "pictures", "resolution",
    "reports", "adapted", "figures", "regions", "unseen", "resolved",
}  # fmt: skip
_SIZE_LIMIT = 64 << 20


@dataclass(frozen=True)
class Selection:
    """Which frames and cameras of one capture.

    Attributes:
        segments: ``{"names": [...]}``, ``{"prefixes": [...]}`` or ``{"except_prefixes": [...]}``.
        frames: ``"all"``, ``{"every": n, "from": k}`` within each segment by frame number, or ``{segment: [frames]}``.
        cameras: Names, ``"all"`` (that have textures), or ``{"every": n, "from": k}`` of those, ordered by name.
    """

    segments: Mapping[str, list[str]]
    frames: str | Mapping[str, Any]
    cameras: str | list[str] | Mapping[str, int]


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    Attributes:
        name: ``"published/v1"``...
        version: Counts up whenever the content changes.
        about: What it measures, for reports.
        people: Entity -> selection.
        anyone: The selection for captures of nobody in ``people``; None: the protocol is for those people only.
        pairs: ``"existing"``: a frame without a picture of some camera is measured with the others, as published;
            ``"all"``: every pair has to be there.
        pictures: ``"required"``, ``"if there"`` or ``"none"``: whether rendered pictures are compared with photos.
        resolution: (height, width) at which pictures are compared; None: the photos' own.
        reports: ``"frozen"`` and/or ``"adapted"``.
        adapted: Options of the adapted report, by the names of ``ADAPTED_OPTIONS``.
        figures: Published figures: entity -> architecture -> metric -> value.
        regions: uv polygons of regions of the face, or None for those known.
        unseen: What training must not have seen for the figures to mean what they should: ``"cameras"``, ``"segments"``.
        digest: SHA-256 of the content (without ``resolved``).
    """

    name: str
    version: int
    about: str
    people: Mapping[str, Selection]
    anyone: Selection | None
    pairs: str = "all"
    pictures: str = "if there"
    resolution: tuple[int, int] | None = None
    reports: tuple[str, ...] = REPORTS
    adapted: Mapping[str, int | float] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    regions: Polygons | None = None
    unseen: tuple[str, ...] = ()
    digest: str = ""
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def selection(self, entity: str | None) -> Selection:
        """What is tested of a capture of ``entity``.

        Raises:
            ArgumentError: the protocol is for other people.
        """
        chosen = self.people.get(entity or "", self.anyone)
        if chosen is None:
            raise ArgumentError(
                f"protocol {self.name} is for captures of certain people",
                expected=" or ".join(self.people),
                found=f"entity {entity}" if entity else "a capture folder without an entity in its name",
                remedy="Choose another protocol (`multiface protocols` lists them), or write one with --protocol FILE",
            )
        return chosen


def built_in() -> list[str]:
    """Names of the protocols of this package, sorted."""
    root = resources.files("multiface.evaluate").joinpath("protocols")
    names = []
    for entry in root.iterdir():
        inner = [f"{entry.name}/{file.name}" for file in entry.iterdir()] if entry.is_dir() else [entry.name]
        names += [name.removesuffix(".json") for name in inner if name.endswith(".json")]
    return sorted(names)


def load_protocol(name: str) -> Protocol:
    """A protocol by name, or from a file.

    Raises:
        ArgumentError: there is neither such a protocol nor such a file.
        FormatError: the file is not a protocol; the message names the field.
    """
    if name in built_in():
        root = resources.files("multiface.evaluate").joinpath("protocols")
        return parse_protocol(json.loads(root.joinpath(*f"{name}.json".split("/")).read_text(encoding="utf-8")), name)
    path = Path(name)
    if not path.is_file():
        near = nearest_names([name], built_in(), count=2)
        raise ArgumentError(
            f"there is no protocol '{name}', nor a file of that name",
            expected=f"one of {', '.join(built_in())}, or a JSON file",
            found=f"nearest {', '.join(near)}",
        )
    if path.stat().st_size > _SIZE_LIMIT:
        raise FormatError("a protocol is too large", where=path, expected=f"at most {_SIZE_LIMIT >> 20} MB")
    return parse_protocol(read_json(path, purpose="a protocol"), path)


def parse_protocol(content: Any, where: str | Path) -> Protocol:
    """Check the content of a protocol file.

    Raises:
        FormatError: a field is missing, unknown, or not what it should be.
    """
    check = _Check(where)
    check(isinstance(content, dict), "a protocol is a JSON object", type(content).__name__)
    check.fields(content, _FIELDS, "unknown fields")
    check(content.get("format") == FORMAT, f"'format' must be {FORMAT}", content.get("format"))
    name, version, about = content.get("name"), content.get("version", 1), content.get("about", "")
    check(isinstance(name, str) and 0 < len(name) <= 100 and name.isprintable(), "'name' must be a short text", name)
    check(isinstance(version, int) and isinstance(about, str), "'version' must be a whole number, 'about' a text", version)
    check(
        content.get("masks", _MASKS) == _MASKS, f"'masks' other than {json.dumps(_MASKS)} are not known", content.get("masks")
    )
    people = content.get("people", {})
    check(isinstance(people, dict) and all(isinstance(p, dict) for p in people.values()), "'people' must be an object", people)
    anyone = content.get("anyone")
    check(anyone is None or isinstance(anyone, dict), "'anyone' must be an object", anyone)
    check(bool(people) or anyone is not None, "a protocol needs 'people' or 'anyone'", None)
    shared = {key: content[key] for key in ("segments", "frames") if key in content}
    return Protocol(
        name=name,
        version=version,
        about=about,
        people={entity: _selection({**shared, **person}, check) for entity, person in people.items()},
        anyone=None if anyone is None else _selection({**shared, **anyone}, check),
        pairs=check.one_of(content, "pairs", ("all", "existing")),
        pictures=check.one_of(content, "pictures", ("if there", "required", "none")),
        resolution=_resolution(content.get("resolution"), check),
        reports=_words({"reports": list(REPORTS), **content}, "reports", REPORTS, check),
        adapted=_adapted(content.get("adapted", {}), check),
        figures=_figures(content.get("figures", {}), check),
        regions=None if "regions" not in content else check_polygons(content["regions"], str(where)),
        unseen=_words(content, "unseen", ("cameras", "segments"), check),
        digest=digest_of({key: value for key, value in content.items() if key != "resolved"}),
        content=content,
    )


def digest_of(content: object) -> str:
    """SHA-256 of plain JSON values, whatever the order of keys and the white space of their file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("utf-8")).hexdigest()


class _Check:
    """Raises a :class:`FormatError` naming the file when something does not hold."""

    def __init__(self, where: str | Path) -> None:
        self.where = where

    def __call__(self, holds: bool, what: str, found: object) -> None:
        if not holds:
            text = json.dumps(found, default=str)
            raise FormatError(f"protocol: {what}", where=self.where, found=text[:120])

    def fields(self, content: Mapping[str, Any], known: set[str], what: str) -> None:
        unknown = sorted(set(content) - known)
        if unknown:
            raise FormatError(
                f"protocol: {what}: {', '.join(unknown)}", where=self.where, expected=f"only {', '.join(sorted(known))}"
            )

    def one_of(self, content: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
        value = content.get(key, allowed[0])
        self(value in allowed, f"'{key}' must be one of {', '.join(allowed)}", value)
        return value


def _selection(values: Mapping[str, Any], check: _Check) -> Selection:
    check.fields(values, {"segments", "frames", "cameras"}, "unknown fields of a person")
    segments: Any = values.get("segments")
    frames, cameras = values.get("frames", "all"), values.get("cameras", "all")
    kinds = ("names", "prefixes", "except_prefixes")
    right = isinstance(segments, dict) and len(segments) == 1 and next(iter(segments)) in kinds
    check(right and _is_names(next(iter(segments.values()))), f"'segments' must be an object with one of {kinds}", segments)
    listed = isinstance(frames, dict) and bool(frames) and not _is_rule(frames) and all(map(_is_names, frames.values()))
    check(frames == "all" or _is_rule(frames) or listed, "'frames' must be \"all\", a rule, or lists by segment", frames)
    if listed:
        inside = "names" in segments and set(frames) <= set(segments["names"])
        check(inside, "frames listed by segment need 'segments' with these names", sorted(frames))
    right = cameras == "all" or _is_names(cameras) or _is_rule(cameras)
    check(right, "'cameras' must be a list of names, \"all\", or a rule", cameras)
    return Selection(segments, frames, cameras)


def _is_names(value: object) -> bool:
    """A list of different texts that can be names of files."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        return False
    return len(set(value)) == len(value) and not any("/" in item or "\\" in item for item in value)


def _is_rule(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"every", "from"}:
        return False
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in value.values())
    return whole and value["every"] >= 1 and value["from"] >= 0


def _resolution(value: object, check: _Check) -> tuple[int, int] | None:
    if value is None:
        return None
    right = isinstance(value, list) and len(value) == 2 and all(isinstance(n, int) and 1 <= n <= 65536 for n in value)
    check(right, "'resolution' must be [height, width]", value)
    height, width = value  # type: ignore[misc]
    return height, width


def _words(content: Mapping[str, Any], key: str, allowed: tuple[str, ...], check: _Check) -> tuple[str, ...]:
    value = content.get(key, [])
    right = isinstance(value, list) and set(map(str, value)) <= set(allowed) and (bool(value) or key != "reports")
    check(right, f"'{key}' must be a list of {', '.join(allowed)}", value)
    return tuple(name for name in allowed if name in value)


def _adapted(value: object, check: _Check) -> dict[str, int | float]:
    right = isinstance(value, dict) and set(value) <= set(ADAPTED_OPTIONS)
    check(right, f"'adapted' must be an object of {', '.join(ADAPTED_OPTIONS)}", value)
    for name, number in value.items():  # type: ignore[union-attr]
        kind = int if ADAPTED_OPTIONS[name] is int else (int, float)
        check(isinstance(number, kind) and not isinstance(number, bool) and number >= 0, f"'{name}' must be a number", number)
    return {name: ADAPTED_OPTIONS[name](number) for name, number in value.items()}  # type: ignore[union-attr]


def _figures(value: object, check: _Check) -> dict[str, dict[str, dict[str, float]]]:
    right = isinstance(value, dict) and all(isinstance(by_arch, dict) for by_arch in value.values())
    check(right, "'figures' must be entity -> architecture -> metric -> number", value)
    for by_arch in value.values():  # type: ignore[union-attr]
        for numbers in by_arch.values():
            right = isinstance(numbers, dict) and all(isinstance(number, (int, float)) for number in numbers.values())
            check(right, "'figures' must be entity -> architecture -> metric -> number", numbers)
    return value  # type: ignore[return-value]
