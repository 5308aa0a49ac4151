"""Packed captures: every file by size and digest, every entry by checksum and by unpacking it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from multiface.capture.capture import Capture
from multiface.capture.inspection.report import InspectionReport, describe
from multiface.capture.store.index import Entry, Name
from multiface.capture.store.manifest import StoredFile, digest_file
from multiface.capture.store.shards import HttpShards
from multiface.capture.store.store import Store
from multiface.core.errors import CaptureError, FormatError
from multiface.core.parallel import default_workers, ordered_map
from multiface.geometry import is_rotation, rotation_error


def check_store(capture: Capture, store: Store, report: InspectionReport, step: Callable[[int], None]) -> int | None:
    """Note damaged shards and entries; returns the number of vertices that most meshes have.

    Quick inspections compare the sizes of files only.
    """
    _summarise(capture, store, report)
    is_local = not isinstance(store.shards, HttpShards)
    if is_local:
        for file in (*store.manifest.files, store.manifest.index, *store.manifest.shards):
            _check_file(store, report, file, digest=not report.quick and file not in store.manifest.shards)
    if not report.quick:
        rows = ordered_map(partial(_check_entry, store), range(len(store.index.rows)), workers=default_workers(at_most=32))
        damaged: set[str] = set()
        for row, problem in enumerate(rows):
            step(1)
            if problem is not None:
                entry = store.index.entry(row)
                damaged.add(store.manifest.shards[entry.shard].file)
                report.add(store.root / store.manifest.shards[entry.shard].file, problem)
        for shard in store.manifest.shards if is_local else ():
            if shard.file not in damaged:  # bytes that belong to no entry
                _check_file(store, report, shard, digest=True)
    _check_topology(capture, report)
    return report.sizes.get("vertices")


def _summarise(capture: Capture, store: Store, report: InspectionReport) -> None:
    totals: dict[str, Counter] = {kind: Counter() for kind in ("photo", "texture", "mesh")}
    for (kind, _, _), (start, end) in store.index.groups().items():
        if kind in totals:
            rows = store.index.rows[start:end]
            totals[kind].update(zip(rows["height"].tolist(), rows["width"].tolist()))
    report.sizes["photos"], report.sizes["textures"] = totals["photo"], totals["texture"]
    if totals["mesh"]:
        report.sizes["vertices"] = totals["mesh"].most_common(1)[0][0][0]
    for what, why in store.manifest.skipped:
        report.add(Path(what), f"was not packed: {why}")


def _check_file(store: Store, report: InspectionReport, file: StoredFile, *, digest: bool) -> None:
    path = store.root / file.file
    try:
        size = path.stat().st_size
        if size != file.bytes:
            report.add(path, f"is cut short or has grown (expected {file.bytes:,} bytes, found {size:,})")
        elif digest and digest_file(path, file.file) != file:
            report.add(path, "is damaged: wrong SHA-256")
    except OSError as error:
        report.add(path, f"cannot be read: {error.strerror}")


def _check_entry(store: Store, row: int) -> str | None:
    name, entry = store.index.name(row), store.index.entry(row)
    try:
        values = _unpack(store, name, entry)
    except (CaptureError, FormatError) as error:
        return f"entry {name}: {describe(error)}"
    if name.kind == "pose" and not is_rotation(values[:, :3]):
        error = rotation_error(values[:, :3])
        return f"entry {name}: head pose is not a rotation (R R^T differs from the identity by {error:.3g})"
    return None


def _unpack(store: Store, name: Name, entry: Entry) -> np.ndarray:
    if name.kind == "mesh":
        return store.vertices(name.key)
    if name.kind == "pose":
        return store.head_pose(name.key)
    out = np.empty((entry.height, entry.width, 3), np.uint8)
    store.unpack(name, entry, out)
    return out


def _check_topology(capture: Capture, report: InspectionReport) -> None:
    try:
        report.sizes["triangles"] = len(capture.topology.faces)
    except (CaptureError, FormatError) as error:
        report.add(Path(error.where or capture.path), error)
