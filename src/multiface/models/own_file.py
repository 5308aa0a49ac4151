"""The layout of our own checkpoints: model, statistics and topology as tensors, the rest as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multiface.core.errors import ArgumentError, CheckpointError
from multiface.geometry import Topology
from multiface.models.info import ModelInfo
from multiface.models.published import check_shapes
from multiface.models.tensor_file import TensorFile, write_tensor_file

FORMAT_NAME = "multiface-model"
FORMAT_VERSION = 1

MODEL, STATISTICS, TOPOLOGY = "model.", "statistics.", "topology."
TOPOLOGY_TYPES = {"faces": "I32", "uvs": "F32", "uv_faces": "I32"}
SIZE_NAMES = ("tex_size", "mesh_inp_size", "nlatent", "n_cams")


def write_own_file(path: str | Path, state: Mapping[str, Tensor], info: ModelInfo) -> None:
    """Write the weights ``state`` and ``info`` atomically.

    Raises:
        ArgumentError: ``info.training`` is not plain JSON.
        StorageError: the file cannot be written.
    """
    tensors = {MODEL + key: value.contiguous() for key, value in state.items()}
    for key, value in (info.statistics or {}).items():
        tensors[STATISTICS + key] = value.detach().cpu().contiguous()
    if info.topology is not None:
        tensors.update({TOPOLOGY + key: torch.from_numpy(getattr(info.topology, key)) for key in TOPOLOGY_TYPES})
    try:
        write_tensor_file(path, tensors, _metadata(info))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"the training notes cannot be saved ({error})", expected="plain JSON values") from error


def read_own_file(file: TensorFile) -> tuple[dict[str, Tensor], ModelInfo]:
    """The weights, by their keys without prefix, and the info of a file whose header has been read.

    Raises:
        CheckpointError: of a newer format, or its parts do not fit each other.
    """
    _check_format(file)
    _check_names(file)
    shapes = {key.removeprefix(MODEL): shape for key, shape in file.shapes.items() if key.startswith(MODEL)}
    check_shapes(shapes, _info(file), file.path)  # before anything large is read
    info = _info(file, statistics=_part(file, STATISTICS) or None, topology=_topology(file))
    return _part(file, MODEL), info


def _metadata(info: ModelInfo) -> dict[str, Any]:
    return {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "arch": info.arch,
        **info.sizes(),
        "camera_names": None if info.camera_names is None else list(info.camera_names),
        "licence": info.licence,
        "training": None if info.training is None else dict(info.training),
    }


def _check_format(file: TensorFile) -> None:
    metadata = file.metadata or {}
    name, version = metadata.get("format"), metadata.get("version")
    if name != FORMAT_NAME or type(version) is not int or version < 1:
        raise CheckpointError(
            "is not a checkpoint of multiface",
            where=file.path,
            expected=f"format {FORMAT_NAME}, version {FORMAT_VERSION}",
            found=f"format {name!r:.80}, version {version!r:.80}",
        )
    if version > FORMAT_VERSION:
        raise CheckpointError(
            "was written by a newer multiface",
            where=file.path,
            expected=f"format version up to {FORMAT_VERSION}",
            found=version,
            remedy="Update multiface: pip install -U multiface",
        )


def _check_names(file: TensorFile) -> None:
    topology = [TOPOLOGY + key for key in TOPOLOGY_TYPES]
    for key in file.shapes:
        if not key.startswith((MODEL, STATISTICS)) and key not in topology:
            raise CheckpointError(
                f"holds an unknown tensor {key[:80]!a}",
                where=file.path,
                expected=f"names that begin with {MODEL} or {STATISTICS}, or {', '.join(topology)}",
            )


def _info(file: TensorFile, statistics: Mapping[str, Tensor] | None = None, topology: Topology | None = None) -> ModelInfo:
    names = _field(file, "camera_names", (list, type(None)))
    if names is not None and not all(isinstance(name, str) for name in names):
        raise CheckpointError("has unreadable metadata", where=file.path, expected="camera_names to be texts")
    try:
        return ModelInfo(
            arch=_field(file, "arch", (str,)),
            **{name: _field(file, name, (int,)) for name in SIZE_NAMES},
            camera_names=None if names is None else tuple(names),
            licence=_field(file, "licence", (str, type(None))),
            training=_field(file, "training", (dict, type(None))),
            statistics=statistics,
            topology=topology,
        )
    except ArgumentError as error:
        raise CheckpointError(
            "describes an impossible model: " + error.what, where=file.path, expected=error.expected, found=error.found
        ) from error


def _field(file: TensorFile, name: str, types: tuple[type, ...]) -> Any:
    value = (file.metadata or {}).get(name)
    if type(value) not in types:
        expected = " or ".join(kind.__name__ for kind in types)
        raise CheckpointError(
            "has unreadable metadata", where=file.path, expected=f"{name} to be {expected}", found=type(value).__name__
        )
    return value


def _part(file: TensorFile, prefix: str) -> dict[str, Tensor]:
    tensors = file.read(lambda key: key.startswith(prefix))
    return {key.removeprefix(prefix): value for key, value in tensors.items()}


def _topology(file: TensorFile) -> Topology | None:
    present = {key: file.dtypes.get(TOPOLOGY + key) for key in TOPOLOGY_TYPES}
    if not any(present.values()):
        return None
    if present != TOPOLOGY_TYPES:
        raise CheckpointError("has an incomplete topology", where=file.path, expected=TOPOLOGY_TYPES, found=present)
    try:
        return Topology(**{key: value.numpy() for key, value in _part(file, TOPOLOGY).items()})
    except ArgumentError as error:
        raise CheckpointError(
            "has a broken topology: " + error.what, where=file.path, expected=error.expected, found=error.found
        ) from error
