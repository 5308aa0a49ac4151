"""``multiface protocols``: which protocols there are, what one of them means for a capture, and the files to train for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.core.errors import ArgumentError

DESCRIPTION = """List the protocols of `multiface test`, or resolve one on a capture: exactly which frames and cameras it means.

With --out it writes protocol.json (rules replaced by lists; itself a protocol), camera-split.json and test-segments.json:
train with these two, as --camera_config and --test_segment_config, and the model sees nothing of what the protocol tests."""


@dataclass(frozen=True)
class ProtocolOptions:
    """Options of ``multiface protocols``."""

    name: tyro.conf.Positional[str] = ""
    """Name or file of a protocol; all are listed when absent."""
    capture: tyro.conf.Positional[Path | None] = None
    """Capture on which to resolve it."""
    out: Path | None = None
    """Folder for protocol.json, camera-split.json and test-segments.json."""
    allow_missing: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Resolve what is there of a protocol that names absent frames or cameras."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as one line of JSON on stdout."""


def main(argv: list[str]) -> int:
    """Run the command and return its exit status."""
    options = parse(ProtocolOptions, argv, command="protocols", description=DESCRIPTION)
    from multiface.evaluate.protocol import built_in, load_protocol

    if not options.name:
        return _list([load_protocol(name) for name in built_in()], options.json)
    protocol = load_protocol(options.name)
    if options.capture is None:
        if options.out is not None:
            raise ArgumentError("--out needs a capture", remedy="Name its folder after the protocol")
        return _list([protocol], options.json)
    return _resolve(protocol, options)


def _list(protocols, as_json: bool) -> int:
    out = console()
    for protocol in protocols:
        out.print(protocol.name, style="bold", markup=False)
        out.print(f"  {protocol.about}", soft_wrap=True, markup=False)
        whose = f"{len(protocol.people)} people" + (" and anyone" if protocol.anyone is not None else "")
        facts = f"{whose}; reports {', '.join(protocol.reports)}; version {protocol.version}; {protocol.digest[:12]}"
        out.print(f"  {facts}", soft_wrap=True, markup=False)
    if as_json:
        emit_json({"protocols": [_facts(protocol) for protocol in protocols]})
    return 0


def _facts(protocol) -> dict:
    return {"name": protocol.name, "sha256": protocol.digest, "content": dict(protocol.content)}


def _resolve(protocol, options: ProtocolOptions) -> int:
    from multiface.capture import Capture
    from multiface.core.files import write_text
    from multiface.evaluate.resolve import resolve
    from multiface.evaluate.training_files import training_files

    capture = Capture(options.capture)  # type: ignore[arg-type]
    test_set = resolve(protocol, capture, allow_missing=options.allow_missing)
    facts = test_set.to_json()
    out = console()
    out.print(f"{test_set.label} on {capture.name}", style="bold", markup=False)
    frames: dict[str, int] = {}
    for key in test_set.index.frames:
        frames[key.segment] = frames.get(key.segment, 0) + 1
    out.print("  frames: " + ", ".join(f"{name} {count}" for name, count in frames.items()), soft_wrap=True, markup=False)
    out.print("  cameras: " + " ".join(test_set.index.cameras), soft_wrap=True, markup=False)
    out.print(f"  {len(test_set.index)} samples, {facts['samples_sha256']}", soft_wrap=True, markup=False)
    written = []
    if options.out is not None:
        files = {"protocol.json": test_set.exact(), **training_files(test_set, capture)}
        for name, content in files.items():
            write_text(options.out / name, json.dumps(content, indent=1) + "\n")
            written.append(str(options.out / name))
        out.print("  wrote " + ", ".join(written), soft_wrap=True, markup=False)
    if options.json:
        emit_json({**facts, "samples": len(test_set.index), "files": written})
    return 0
