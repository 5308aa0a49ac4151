"""Saving and loading models: our own files, and the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multiface.core.errors import ArgumentError, CheckpointError
from multiface.models.info import ModelInfo
from multiface.models.model import FaceModel
from multiface.models.own_file import SIZE_NAMES, read_own_file, write_own_file
from multiface.models.pickled import PICKLE_SIGNATURE, ZIP_SIGNATURE, read_pickled_tensors
from multiface.models.published import check_shapes, infer_info, strip_prefixes
from multiface.models.tensor_file import looks_like_tensor_file, open_tensor_file

LARGEST_FILE = 32 << 30


def save_model(path: str | Path, model: FaceModel, info: ModelInfo | None = None) -> None:
    """Write ``model`` with everything that ``info`` (by default ``model.info``) knows, atomically, as safetensors.

    The same model and info give the same bytes.

    Raises:
        ArgumentError: ``info`` is of another model, or its ``training`` is not plain JSON.
        CheckpointError: a weight is not finite; an existing file stays as it was.
        StorageError: the file cannot be written.
    """
    info = model.info if info is None else info
    differing = differences(model.info, arch=info.arch, **info.sizes())
    if differing:
        raise ArgumentError("the info to be saved is of another model", found=", ".join(differing))
    state = {key: value.detach().to("cpu", torch.float32) for key, value in model.state_dict().items()}
    check_finite(state, path)
    write_own_file(path, state, info)


def load_model(path: str | Path, map_location: str | torch.device = "cpu") -> FaceModel:
    """Load a model from our own file or a published one; needs no other argument and never runs code from the file.

    Architecture and sizes of published files (with or without ``module.`` before the keys) are inferred from the names
    and shapes of their tensors. ``model.info`` holds everything the file says. The model is in evaluation mode.

    Args:
        path: The file, or ``"zoo:ENTITY/ARCH"`` for published weights, which are fetched if they are not in the cache.
        map_location: Device the model is put on.

    Raises:
        CheckpointError: no such file, or one that cannot be used; says what was expected and what was found.
    """
    state, info = _read(_file(path))
    model = FaceModel(info)
    model.load_state_dict(state)
    return model.to(map_location).eval()


def load_state(path: str | Path) -> dict[str, Tensor]:
    """The weights alone, float32 on the CPU, by their keys without prefix: for starting a training from them.

    Raises:
        CheckpointError: as :func:`load_model`.
    """
    return _read(_file(path))[0]


def differences(info: ModelInfo, **expected: Any) -> list[str]:
    """Which of ``arch`` and the sizes differ from ``info``, as ``"tex_size 512, not 1024"``; None means any.

    Raises:
        ArgumentError: a name that is not one of them.
    """
    known = ("arch", *SIZE_NAMES)
    unknown = [name for name in expected if name not in known]
    if unknown:
        raise ArgumentError("a checkpoint has no such property", expected=", ".join(known), found=", ".join(unknown))
    return [
        f"{name} {getattr(info, name)}, not {value}"
        for name, value in expected.items()
        if value is not None and value != getattr(info, name)
    ]


def check_matches(info: ModelInfo, *, where: str | Path | None = None, **expected: Any) -> None:
    """Check options such as ``arch="base"`` or ``tex_size=1024`` against a checkpoint; those that are None match any.

    Args:
        info: What the checkpoint says.
        where: The checkpoint, for the message.
        expected: ``arch``, ``tex_size``, ``mesh_inp_size``, ``nlatent``, ``n_cams``.

    Raises:
        ArgumentError: another name.
        CheckpointError: some differ; the message lists all of them.
    """
    differing = differences(info, **expected)
    if differing:
        raise CheckpointError(
            "the checkpoint is of another model than the options say",
            where=where,
            found="; ".join(differing),
            remedy="Leave these options out to take them from the checkpoint, or choose another checkpoint",
        )


def check_finite(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        CheckpointError: names the first such tensor.
    """
    for key, value in state.items():
        finite = torch.isfinite(value)
        if not finite.all():
            raise CheckpointError(
                f"{key} holds NaN or infinite values",
                where=path,
                found=f"{int((~finite).sum())} of {finite.numel()}",
                remedy="The training that made it diverged; take an earlier checkpoint",
            )


def _file(path: str | Path) -> Path:
    """``path``, or the file in the cache that a name of published weights stands for."""
    name = str(path).replace("\\", "/")
    if not name.startswith("zoo:"):
        return Path(path)
    from multiface.release.zoo import resolve

    return resolve(name)


def _read(path: Path) -> tuple[dict[str, Tensor], ModelInfo]:
    start = _first_bytes(path)
    if looks_like_tensor_file(start):
        file = open_tensor_file(path)
        if file.metadata is not None:
            state, info = read_own_file(file)
            return _as_weights(state, path), info
        tensors = file.read(lambda key: True)  # published weights that someone converted
    elif start.startswith((ZIP_SIGNATURE, PICKLE_SIGNATURE)):
        tensors = read_pickled_tensors(path)
    else:
        raise CheckpointError(
            "is not a checkpoint",
            where=path,
            expected="a safetensors file, or one written by torch.save",
            found=f"a file that begins with {start[:8]!r}",
        )
    state = strip_prefixes(tensors)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    info = infer_info(shapes, path)
    check_shapes(shapes, info, path)
    return _as_weights(state, path), info


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise CheckpointError("is a folder", where=path, expected="a checkpoint file", remedy="Name the file in it")
    try:
        with path.open("rb") as file:
            start = file.read(16)
        size = path.stat().st_size
    except FileNotFoundError:
        raise CheckpointError("no such checkpoint", where=path) from None
    except OSError as error:
        raise CheckpointError("cannot be read", where=path, found=error.strerror) from error
    if not start:
        raise CheckpointError("is empty", where=path, remedy="Get the file again, or take an earlier checkpoint")
    if size > LARGEST_FILE:
        raise CheckpointError("is too large for a checkpoint", where=path, expected=f"up to {LARGEST_FILE} bytes", found=size)
    return start


def _as_weights(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    for key, value in state.items():
        if not value.is_floating_point():
            raise CheckpointError(
                f"{key} holds values of the wrong type", where=path, expected="float32", found=str(value.dtype)
            )
    check_finite(state, path)
    return {key: value.to(torch.float32) for key, value in state.items()}
