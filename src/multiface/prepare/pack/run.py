"""Packing a capture into a store."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiface.capture import Capture, CaptureLayout, Statistics, write_frame_list, write_krt, write_statistics
from multiface.capture.resize import resample_texture
from multiface.capture.store import is_store
from multiface.capture.store.index import StoreIndex
from multiface.capture.store.manifest import INDEX, MANIFEST, SHARDS, Manifest, digest_file, is_side_file, read_manifest
from multiface.core.errors import ArgumentError, CaptureError, StorageError
from multiface.core.files import make_folder, storage_errors, write_bytes, write_text
from multiface.core.lock import folder_lock
from multiface.core.parallel import default_workers, ordered_map
from multiface.prepare.capture import LeftOut
from multiface.prepare.pack.items import ItemPacker
from multiface.prepare.pack.settings import PackPlan, PackSettings, make_plan
from multiface.prepare.pack.shard_writer import ShardNote, ShardWriter, note_path, read_notes

UNFINISHED = ".pack.json"
"""What an unfinished store holds instead of its manifest: which pack it is."""


@dataclass
class PackReport:
    """What :func:`pack_capture` did.

    Attributes:
        store: The store.
        counts: Kind of entry -> number.
        bytes: All shards.
        psnr: Kind of picture -> mean and lowest PSNR (dB) of what a lossy codec changed, over what cameras saw.
        skipped: Files that are broken or missing, and why.
        frames: Frames packed.
        frames_before: Those of them that an earlier run had packed already.
        seconds: Wall time of this run.
    """

    store: Path
    counts: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    psnr: dict[str, dict[str, float]] = field(default_factory=dict)
    skipped: list[LeftOut] = field(default_factory=list)
    frames: int = 0
    frames_before: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = {name: getattr(self, name) for name in ("counts", "bytes", "psnr", "frames", "frames_before")}
        skipped = [entry._asdict() for entry in self.skipped]
        return {"store": str(self.store), **values, "skipped": skipped, "seconds": round(self.seconds, 3)}


def pack_capture(
    path: str | Path,
    out: str | Path,
    settings: PackSettings | None = None,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """Write a store of a capture, or of part of it. A run that was interrupted goes on with the same call.

    Args:
        path: Capture folder, or another store.
        out: Folder of the store: a new or empty one, or that of an earlier run with the same settings.
        settings: What is packed, and how.
        workers: Threads; one per core, up to sixteen, when absent.
        overwrite: Remove a store or an unfinished pack that is in ``out``.
        progress: Called with (frames done, frames in all).

    Raises:
        ArgumentError: ``out`` is within the capture, the capture is within ``out``, or ``out`` holds a store of other settings.
        CaptureError: there is no capture, or nothing to pack.
        StorageError: the disk is full, the folder cannot be written, or another run is packing into it.
    """
    began = time.perf_counter()
    out = Path(out)
    plan = make_plan(Capture(path), settings or PackSettings())
    _check_apart(plan.capture.path, out)
    _check_folder(out)
    with folder_lock(make_folder(out), "packing into"):
        if overwrite:
            _remove_store(out)
        report = _finished(plan, out) or _pack(plan, out, default_workers(16) if workers is None else workers, progress)
    report.seconds = time.perf_counter() - began
    return report


def _pack(plan: PackPlan, out: Path, workers: int, progress: Callable[[int, int], None] | None) -> PackReport:
    _begin(plan, out)
    notes = read_notes(out)
    done = {key for note in notes for key in note.frames}
    before, total = len(done), len(plan.frames)
    packer = ItemPacker(plan)
    writer = ShardWriter(out, plan.settings.shard_bytes, first=len(notes))
    items = packer.items([key for key in plan.frames if key not in done])
    try:
        with closing(ordered_map(packer.pack, items, workers=workers)) as results:
            for result in results:
                writer.add(result)
                done.add(result.item.key)
                if progress is not None:
                    progress(len(done), total)
        writer.finish()
    except (StorageError, OSError):
        writer.discard()
        raise
    except BaseException:
        writer.keep()
        raise
    return _report(_finish(plan, out, notes + writer.notes), out, before)


def _begin(plan: PackPlan, out: Path) -> None:
    """Note which pack this is, or see that it is the one that was begun."""
    path, identity = out / UNFINISHED, plan.identity()
    if path.is_file():
        _check_same(_read_json(path), identity, out)
    write_text(path, json.dumps(identity))


def _finished(plan: PackPlan, out: Path) -> PackReport | None:
    """The report of a store that is finished already."""
    if not is_store(out):
        return None
    manifest = read_manifest(out)
    _check_same(manifest.settings, plan.identity(), out)
    for shard in manifest.shards:
        path = out / shard.file
        if not path.is_file() or path.stat().st_size != shard.bytes:
            raise CaptureError(
                "the store is finished, but a shard is missing or cut short", where=path, remedy="Pack again with --overwrite"
            )
    return _report(manifest, out, len(plan.frames))


def _check_same(found: Any, expected: dict[str, Any], out: Path) -> None:
    if found == expected:
        return
    found = found if isinstance(found, dict) else {}
    differing = [name for name, value in expected.items() if found.get(name) != value and name != "settings"]
    theirs = found.get("settings") if isinstance(found.get("settings"), dict) else {}
    differing += [f"{k} {theirs.get(k)!r} instead of {v!r}" for k, v in expected["settings"].items() if theirs.get(k) != v]
    raise ArgumentError(
        "the folder holds a store of another capture or of other settings",
        where=out,
        found=", ".join(differing),
        remedy="Choose another folder, or replace it with --overwrite",
    )


def _finish(plan: PackPlan, out: Path, notes: list[ShardNote]) -> Manifest:
    """Small files, index, manifest; then the notes go."""
    entries = [entry for note in notes for entry in note.entries]
    if not entries:
        raise CaptureError(
            "not one picture could be packed",
            where=plan.capture.path,
            found="; ".join(f"{entry.file}: {entry.reason}" for note in notes for entry in note.skipped[:3]),
            remedy=f"Look for broken files with: multiface inspect {plan.capture.path}",
        )
    with storage_errors(out):
        files = _write_side_files(plan, out)
        write_bytes(out / INDEX, StoreIndex.build(entries).to_bytes())
    psnr: dict[str, list[float]] = {}
    for note in notes:
        for kind, values in note.psnr.items():
            psnr.setdefault(kind, []).extend(values)
    counts = Counter("average" if name.camera == "average" else name.kind for name, _ in entries)
    manifest = Manifest(
        name=plan.capture.name,
        texture_size=plan.texture_size,
        index=digest_file(out / INDEX, INDEX),
        shards=tuple(note.file for note in notes),
        files=tuple(digest_file(out / file, file) for file in sorted(files)),
        settings=plan.identity(),
        psnr={kind: {"mean": round(sum(v) / len(v), 3), "lowest": min(v)} for kind, v in psnr.items()},
        counts=dict(counts),
        camera_sizes={name: plan.settings.photo_size or camera.size for name, camera in plan.capture.cameras.items()},
        skipped=tuple((entry.file, entry.reason) for note in notes for entry in note.skipped),
    )
    manifest.write(out)
    for number in range(len(notes)):
        note_path(out, number).unlink(missing_ok=True)
    (out / UNFINISHED).unlink(missing_ok=True)
    return manifest


def _write_side_files(plan: PackPlan, out: Path) -> list[str]:
    """Calibration, frame list, statistics, topology, weights and sounds, as in a capture folder; their names."""
    capture, settings = plan.capture, plan.settings
    layout, source = CaptureLayout(out, plan.texture_size or 1024), capture.layout
    cameras = capture.cameras.values()
    resized = [camera.resized(settings.photo_size) for camera in cameras] if settings.photo_size is not None else None
    if resized is None:
        _copy(source.krt, layout.krt)
    else:
        write_krt(layout.krt, resized)
    write_frame_list(layout.frame_list, plan.frames)
    names = ["KRT", "frame_list.txt", *_write_statistics(plan, layout)]
    names += _copy_all([*capture.topology_files()[:1], capture.path / "loss_weight_mask.png"], out)
    for segment in dict.fromkeys(key.segment for key in plan.frames):
        sound = capture.audio(segment)
        if sound is not None:
            _copy(sound, out / "audio" / sound.name)
            names.append(f"audio/{sound.name}")
    return names


def _copy_all(paths: Iterable[Path], out: Path) -> list[str]:
    names = []
    for path in paths:
        name = path.name if is_side_file(path.name) else "topology.obj"
        if path.is_file():
            _copy(path, out / name)
            names.append(name)
    return names


def _write_statistics(plan: PackPlan, layout: CaptureLayout) -> list[str]:
    source = plan.capture.layout
    pairs = [(source.tex_mean, layout.tex_mean), (source.tex_var, layout.tex_var)]
    pairs += [(source.vert_mean, layout.vert_mean), (source.vert_var, layout.vert_var)]
    if not all(path.is_file() for path, _ in pairs):
        return []
    if plan.texture_size in (None, plan.capture.texture_size):
        for path, target in pairs:
            _copy(path, target)
    else:
        old = plan.capture.statistics
        mean = resample_texture(old.tex_mean, old.tex_mean, plan.texture_size or 1)
        write_statistics(layout, Statistics(mean, old.tex_var, old.vert_mean, old.vert_var))
    return [target.name for _, target in pairs]


def _copy(source: Path, target: Path) -> None:
    write_bytes(target, source.read_bytes())


def _report(manifest: Manifest, out: Path, before: int) -> PackReport:
    return PackReport(
        store=out,
        counts=manifest.counts,
        bytes=sum(shard.bytes for shard in manifest.shards),
        psnr=manifest.psnr,
        skipped=[LeftOut(*entry) for entry in manifest.skipped],
        frames=manifest.settings.get("frames", 0),
        frames_before=before,
    )


def _check_apart(capture: Path, out: Path) -> None:
    source, target = capture.resolve(), out.resolve()
    for inner, outer, what in (
        (target, source, "the store would be within the capture"),
        (source, target, "the capture is within the folder of the store"),
    ):
        if inner == outer or inner.is_relative_to(outer):
            raise ArgumentError(what, where=out, remedy="Choose a folder outside the capture")


def _check_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise StorageError("this is a file, not a folder", where=out, remedy="Choose another name")
    if not out.is_dir() or is_store(out) or (out / UNFINISHED).is_file():
        return
    others = [path.name for path in out.iterdir() if path.name != ".lock"]
    if others:
        raise StorageError(
            "the folder holds something that is no store",
            where=out,
            found=", ".join(sorted(others)[:3]),
            remedy="Choose a new or empty folder",
        )


def _remove_store(out: Path) -> None:
    """Take away what a pack made, the manifest first: from then on it is no store."""
    files = [MANIFEST, INDEX, UNFINISHED]
    if is_store(out):
        files += [file.file for file in read_manifest(out).files]
    with storage_errors(out):
        for name in files:
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / SHARDS, ignore_errors=True)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
