"""Published checkpoints: a plain mapping of names to tensors, from whose names and shapes everything is inferred."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from multiface.core.errors import ArgumentError, CheckpointError
from multiface.core.files import write_bytes
from multiface.models.architecture import TEXELS_PER_FEATURE, Architecture, find_architecture
from multiface.models.info import ModelInfo
from multiface.models.model import FaceModel

PREFIX = "module."
WRAPPER_PREFIXES = (PREFIX, "_orig_mod.")
"""Put before every key by the distributed wrapper and by torch.compile."""

LAST_UNIT = "dec.texture_decoder.upsample.3.conv2."
DIMENSIONS = {
    LAST_UNIT + "bias": 4,
    LAST_UNIT + "deconv.weight": 4,
    "dec.z_fc.weight": 2,
    "dec.mesh_fc.weight": 2,
    "dec.texture_fc.weight": 2,
    "cc.weight": 4,
}
"""The keys that the sizes are read from, with the number of dimensions each tensor must have."""

FIRST_GENERATION = (
    "Weights of the first public version (<entity>_model.pth and mini.pth, July 2022) may have another warp decoder and "
    "cannot be used; take the entity's newer best_model.pth"
)

Shape = tuple[int, ...]


def save_published(path: str | Path, model: FaceModel) -> None:
    """Write ``model`` as the published tools read it: the state_dict with every key prefixed by ``module.``.

    Everything else (camera names, statistics, topology) is lost; :func:`multiface.models.save_model` keeps it.

    Raises:
        StorageError: the file cannot be written.
    """
    state = {
        PREFIX + key: value.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format)
        for key, value in model.state_dict().items()
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def strip_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` without the prefixes that wrappers put before all of its keys."""
    plain = dict(state)
    while plain:
        prefix = next((p for p in WRAPPER_PREFIXES if all(key.startswith(p) for key in plain)), None)
        if prefix is None:
            break
        plain = {key[len(prefix) :]: value for key, value in plain.items()}
    return plain


def infer_info(shapes: Mapping[str, Shape], path: str | Path) -> ModelInfo:
    """Architecture and sizes of the checkpoint at ``path`` whose tensors have ``shapes``.

    Raises:
        CheckpointError: the tensors that tell are missing, or tell of a model that does not exist.
    """
    for key, ndim in DIMENSIONS.items():
        if len(shapes.get(key, ())) != ndim:
            raise CheckpointError(
                "is not a checkpoint of these networks",
                where=path,
                expected=f"a tensor {key} with {ndim} dimensions",
                found=f"shape {tuple(shapes[key])}" if key in shapes else f"{len(shapes)} others, {_some(shapes)}",
                remedy=_remedy(shapes),
            )
    architecture = _infer_architecture(shapes)
    nlatent = shapes["dec.z_fc.weight"][1]
    try:
        return ModelInfo(
            arch=architecture.name,
            tex_size=_infer_texture_size(shapes, architecture, nlatent),
            mesh_inp_size=shapes["dec.mesh_fc.weight"][0],
            nlatent=nlatent,
            n_cams=shapes["cc.weight"][0] + 1,
        )
    except ArgumentError as error:
        raise CheckpointError(
            "holds a model of impossible size: " + error.what, where=path, expected=error.expected, found=error.found
        ) from error


def check_shapes(shapes: Mapping[str, Shape], info: ModelInfo, path: str | Path) -> None:
    """Compare the tensors of a checkpoint with those that a model of ``info`` has.

    Raises:
        CheckpointError: some are missing, unknown or of another shape; the message names the first few.
    """
    with torch.device("meta"):  # shapes only: nothing is allocated for a file that turns out to be wrong
        expected = {key: tuple(value.shape) for key, value in FaceModel(info).state_dict().items()}
    missing = [key for key in expected if key not in shapes]
    unknown = [key for key in shapes if key not in expected]
    differing = [key for key in expected if key in shapes and tuple(shapes[key]) != expected[key]]
    if not (missing or unknown or differing):
        return
    complaints = []
    if missing:
        complaints.append(f"lacks {len(missing)} tensors ({_some(missing)})")
    if unknown:
        complaints.append(f"has {len(unknown)} unknown tensors ({_some(unknown)})")
    if differing:
        key = differing[0]
        complaints.append(f"has {len(differing)} tensors of another shape ({key}: {tuple(shapes[key])}, not {expected[key]})")
    sizes = ", ".join(f"{name} {value}" for name, value in info.sizes().items())
    raise CheckpointError(
        " and ".join(complaints), where=path, expected=f"the tensors of arch {info.arch}, {sizes}", remedy=_remedy(shapes)
    )


def _infer_architecture(shapes: Mapping[str, Shape]) -> Architecture:
    if any(key.startswith("warp.") for key in shapes):
        return find_architecture("warp")
    if "dec.texture_decoder.upsample.0.res1.weight" in shapes:
        return find_architecture("res")
    if shapes[LAST_UNIT + "deconv.weight"][-1] == 3:
        return find_architecture("bilinear")
    return find_architecture("non" if shapes[LAST_UNIT + "bias"][-1] == 1 else "base")


def _infer_texture_size(shapes: Mapping[str, Shape], architecture: Architecture, nlatent: int) -> int:
    if architecture.per_texel_bias:
        return shapes[LAST_UNIT + "bias"][-1]
    features = shapes["dec.texture_fc.weight"][0] / max(nlatent, 1)
    return round(TEXELS_PER_FEATURE * features**0.5)


def _some(keys: Iterable[str], count: int = 3) -> str:
    # Names come from the file: shortened, and escaped so that they cannot act on a terminal.
    names = [ascii(str(key)[:80])[1:-1] for key in keys]
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _remedy(shapes: Iterable[str]) -> str | None:
    return FIRST_GENERATION if any("warp" in key for key in shapes) else None
