"""The published weights: a table with their published errors, and a cache that they are fetched into.

The server lists no checksums for weights. What is checked at first is that a file is whole and is a checkpoint; its size
and SHA-256 are then noted beside it, and a file that no longer agrees with them is not used.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from multiface.core.errors import CheckpointError, StorageError
from multiface.core.files import make_folder, storage_errors, user_cache_folder, write_text
from multiface.release.catalogue import load_catalogue
from multiface.release.errors import ChangedError
from multiface.release.matching import match_names
from multiface.release.network import IDENTITIES, Network, Server, base_url
from multiface.release.stream import FileStream

PREFIX = "zoo:"
LICENCE = "CC BY-NC 4.0 (Meta): research only, not for commercial use"
RETRIES = 3
"""Fewer than for archives: somebody waits for a model to load."""
_FOLDER = "PretrainedModel"
_SIGNATURES = (b"PK\x03\x04", b"\x80")
_LARGEST = 4 << 30


@dataclass(frozen=True)
class ZooModel:
    """One published checkpoint.

    Attributes:
        name: ``"ENTITY/ARCH"``, or ``"mini"``.
        entity: Whose face it is.
        arch: Architecture; ``""`` for ``mini``, of which it is not published.
        path: Where it is below the folder of weights on the server.
        segment: Test segment that the errors are of.
        texture_error: Published texture error: denormalised, in squared 0..255 units; for ``mini`` normalised.
        mesh_error: Published mesh error, normalised.
    """

    name: str
    entity: str
    arch: str
    path: str
    segment: str
    texture_error: float
    mesh_error: float

    def to_json(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


@functools.cache
def zoo_models() -> dict[str, ZooModel]:
    """All published checkpoints by name: 11 people in 5 architectures, and ``mini``."""
    content = json.loads(resources.files("multiface.release").joinpath("zoo.json").read_text(encoding="utf-8"))
    models = {}
    for entity, row in content["models"].items():
        rig = load_catalogue().people[entity].rig
        segment = "EXP_ROM07_Facial_Expressions" if rig == 1 else "EXP_free_face"
        for arch, (texture, mesh) in row.items():
            path = f"{entity}--GHS-{arch}_nosl/best_model.pth"
            models[f"{entity}/{arch}"] = ZooModel(f"{entity}/{arch}", entity, arch, path, segment, texture, mesh)
    mini = content["mini"]
    models["mini"] = ZooModel("mini", mini["entity"], "", "mini.pth", mini["segment"], mini["texture"], mini["mesh"])
    return models


def find_model(name: str) -> ZooModel:
    """The checkpoint of a name such as ``"6795937/warp"``.

    Raises:
        ArgumentError: there is none; suggests the nearest.
    """
    name = name.removeprefix(PREFIX)
    (found,) = match_names([_literal(name)], zoo_models(), what="published model", option="zoo")
    return zoo_models()[found]


def _literal(name: str) -> str:
    return "".join(c for c in name if c not in "*?[")


def cache_folder() -> Path:
    """Where weights are kept: :func:`multiface.core.files.user_cache_folder`.

    Raises:
        StorageError: this user has none.
    """
    folder = user_cache_folder()
    if folder is None:
        raise StorageError("no folder to keep weights in is known", remedy="Name one in the variable MULTIFACE_CACHE")
    return folder


def weights_url(base: str, model: ZooModel) -> str:
    """Address of a checkpoint: weights are beside the folder of people on the public server, and in it on a plain mirror."""
    root = base.rstrip("/")
    return f"{root.removesuffix(IDENTITIES)}/{_FOLDER}/{model.path}"


def cached_path(model: ZooModel, cache: Path | None = None) -> Path:
    """Where a checkpoint is or would be kept."""
    return (cache or cache_folder()) / "zoo" / Path(*model.name.split("/")).with_suffix(".pth")


def resolve(name: str) -> Path:
    """The file of ``"zoo:ENTITY/ARCH"``, fetched if it is not in the cache.

    Raises:
        ArgumentError: there is no such model.
        TransferError: it is not in the cache and cannot be fetched.
        CheckpointError: what is in the cache has changed since it was fetched.
    """
    return get(find_model(name))


def get(
    model: ZooModel,
    *,
    network: Network | None = None,
    cache: Path | None = None,
    again: bool = False,
    received: Callable[[int, int | None], None] = lambda count, total: None,
) -> Path:
    """Make sure that a checkpoint is in the cache; a transfer that was cut goes on where it stopped.

    Args:
        model: Which.
        network: How to fetch; the options of the environment when absent.
        cache: Folder; :func:`cache_folder` when absent.
        again: Fetch it even if it is there.
        received: Called with the bytes that came and the size of the whole.

    Raises:
        TransferError, StorageError: it cannot be fetched or written.
        CheckpointError: what is there, or what came, is no checkpoint.
    """
    path = cached_path(model, cache)
    if path.is_file() and not again:
        _check_noted(path)
        return path
    make_folder(path.parent)
    with Server(network or Network(base_url(), retries=RETRIES)) as server:
        url = weights_url(server.network.base_url, model)
        try:
            _fetch(server, url, path, received)
        except ChangedError:  # since the first part of it came
            path.with_suffix(".part").unlink(missing_ok=True)
            _fetch(server, url, path, received)
    return path


def _fetch(server: Server, url: str, path: Path, received: Callable[[int, int | None], None]) -> None:
    part, note = path.with_suffix(".part"), path.with_suffix(".part.json")
    known = _read_note(note) if part.is_file() else {}
    start = part.stat().st_size if known.get("url") == url and known.get("etag") else 0
    total = known.get("size") if start else None
    stream = FileStream(server, url, start=start, total=total, etag=known.get("etag", "") if start else "")
    digest = hashlib.sha256()
    with storage_errors(path), part.open("r+b" if start else "w+b") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
        for chunk in stream.chunks():
            if start == file.tell():
                # Which version the part is of, for going on with it in another process.
                write_text(note, json.dumps({"url": url, "etag": stream.etag, "size": stream.total}) + "\n")
            file.write(chunk)
            digest.update(chunk)
            if file.tell() > _LARGEST:
                raise CheckpointError("is too large for published weights", where=url, expected=f"at most {_LARGEST} bytes")
            received(len(chunk), stream.total)
        file.flush()
        os.fsync(file.fileno())
    _check_kind(part, url)
    size = part.stat().st_size
    with storage_errors(path):
        write_text(_note_of(path), json.dumps({"url": url, "size": size, "sha256": digest.hexdigest()}) + "\n")
        part.replace(path)
        note.unlink(missing_ok=True)


def _check_kind(part: Path, url: str) -> None:
    with part.open("rb") as file:
        start = file.read(16)
    if not start.startswith(_SIGNATURES):
        part.unlink()
        raise CheckpointError(
            "is not a checkpoint",
            where=url,
            expected="a file written by torch.save",
            found=f"a file that begins with {start!r}",
        )


def _note_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _check_noted(path: Path) -> None:
    note = _read_note(_note_of(path))
    if not note:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    if path.stat().st_size != note.get("size") or digest.hexdigest() != note.get("sha256"):
        raise CheckpointError(
            "has changed since it was fetched",
            where=path,
            expected=f"{note.get('size')} bytes, SHA-256 {note.get('sha256')}",
            remedy="Fetch it again with: multiface zoo get ... --again",
        )


def _read_note(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
