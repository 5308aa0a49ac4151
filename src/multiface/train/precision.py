"""What the networks compute in, and whether they can be compiled here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

from multiface.core.triton import obstacle_to_triton

Precision = Literal["auto", "bf16", "fp32"]


def use_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether convolutions run in bfloat16: when asked for, and by default on GPUs that have it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16"


def mixed_precision(bf16: bool, device: torch.device) -> AbstractContextManager:
    """Context in which convolutions run in bfloat16, or one that changes nothing.

    Only convolutions do: codes, vertices, the untied bias of the last unit, grids, colours and losses are float32.
    """
    return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()


def obstacle_to_compiling(device: torch.device) -> str | None:
    """Why ``torch.compile`` will not work for ``device``, or None."""
    if device.type != "cuda":
        return "only networks on GPUs are compiled"
    return obstacle_to_triton(device)


def compile_for_one_shape(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` through torch.compile, for inputs of one shape.

    Its own CUDA graphs are off: whole steps are captured, optimisers included.
    """
    return torch.compile(function, dynamic=False)
