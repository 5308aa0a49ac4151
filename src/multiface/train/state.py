"""The training state: everything beyond the model that a run needs to go on exactly where it stopped.

The file is a PyTorch archive of tensors and plain values, read with ``weights_only=True``: it cannot run code.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from multiface.core.errors import CheckpointError
from multiface.core.files import atomic_path

VERSION = 1


@dataclass
class Position:
    """Where a run is: updates done, current epoch, and batches of that epoch already used."""

    iteration: int = 0
    epoch: int = 0
    batches: int = 0


def save_state(path: Path, parts: dict[str, Any], position: Position) -> None:
    """Write the state atomically.

    Args:
        path: Target file.
        parts: State dictionaries by name (model, optimisation, guard, best, window).
        position: Where the run is.
    """
    content = {
        "version": VERSION,
        "position": {"iteration": position.iteration, "epoch": position.epoch, "batches": position.batches},
        "random": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []},
        **parts,
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_state(path: Path) -> tuple[dict[str, Any], Position]:
    """Read a state written by :func:`save_state`; restores the random generators.

    Raises:
        CheckpointError: the file is cut off, damaged, or not a training state of this version.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            "cannot be read as a training state",
            where=path,
            found=str(error).split("\n")[0][:200],
            remedy="Start from the weights instead: --model_ckpt with the model.safetensors beside it",
        ) from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        found = content.get("version") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError("is not a training state of this version", where=path, expected=VERSION, found=found)
    torch.set_rng_state(content["random"]["cpu"])
    if torch.cuda.is_available() and len(content["random"]["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(content["random"]["cuda"])
    return content, Position(**content["position"])
