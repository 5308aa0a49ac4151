"""The training state: everything beyond the model that a run needs to go on exactly where it stopped.

A state is a tree of dictionaries, lists, tuples, tensors and plain values. Its file holds the tensors as safetensors and the
rest as JSON: reading it cannot run code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from multiface.core.errors import CheckpointError
from multiface.models.tensor_file import open_tensor_file, write_tensor_file

FORMAT, VERSION = "multiface-training-state", 2
_TENSOR, _STRIDES, _TUPLE, _PAIRS = "$tensor", "strides", "$tuple", "$pairs"


@dataclass
class Position:
    """Where a run is: updates done, current epoch, and batches of that epoch already used."""

    iteration: int = 0
    epoch: int = 0
    batches: int = 0

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of the random generators that training draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_state(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Restore what :func:`random_state` gave; on another kind of device the noise is another from here on."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def write_state(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a state atomically.

    Args:
        path: Target file.
        tree: Dictionaries (keys text or integers), lists, tuples, tensors, numbers, texts, bools and None.
    """
    tensors: dict[str, torch.Tensor] = {}
    content = _pack(tree, tensors)
    write_tensor_file(path, tensors, {"format": FORMAT, "version": VERSION, "tree": content})


def read_state(path: Path) -> dict[str, Any]:
    """Read a state written by :func:`write_state`, tensors on the CPU.

    Raises:
        CheckpointError: the file is cut off, damaged, or not a training state of this version.
    """
    file = open_tensor_file(path)
    metadata = file.metadata or {}
    found = (metadata.get("format"), metadata.get("version"))
    if found != (FORMAT, VERSION):
        raise CheckpointError(
            "is not a training state of this version",
            where=path,
            expected=f"{FORMAT} {VERSION}",
            found=f"{found[0]} {found[1]}",
        )
    try:
        tree = _unpack(metadata["tree"], file.read(lambda key: True))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError("is a damaged training state", where=path, found=ascii(error)[:200]) from error
    return tree


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value.detach().cpu().contiguous()
        # Optimisers want their moments to lie in memory as the parameters do, which may be channels last.
        return {_TENSOR: name} if value.is_contiguous() else {_TENSOR: name, _STRIDES: list(value.stride())}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _pack(item, tensors) for key, item in value.items()}
        return {_PAIRS: [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {_TUPLE: [_pack(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_pack(item, tensors) for item in value]
    return value


def _unpack(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        tensor = tensors[value[_TENSOR]]
        return _with_strides(tensor, value[_STRIDES]) if _STRIDES in value else tensor
    if _TUPLE in value:
        return tuple(_unpack(item, tensors) for item in value[_TUPLE])
    if _PAIRS in value:
        return {key: _unpack(item, tensors) for key, item in value[_PAIRS]}
    return {key: _unpack(item, tensors) for key, item in value.items()}


def _with_strides(tensor: torch.Tensor, strides: list[int]) -> torch.Tensor:
    """The same values lying in memory in another order; strides that would take other memory than that are refused."""
    reach = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, strides))
    if len(strides) != tensor.dim() or min(strides) < 0 or reach != tensor.numel():
        raise ValueError(f"strides {strides} of a tensor {tuple(tensor.shape)}")
    return torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype).copy_(tensor)
