"""Whether kernels written in Triton can run here."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def obstacle_to_triton(device: torch.device) -> str | None:
    """Why Triton's kernels cannot run on ``device``, a GPU, or None."""
    import torch

    if find_spec("triton") is None:
        return "there is no Triton (it comes with PyTorch for Linux)"
    compiler = os.environ.get("CC") or next((name for name in ("gcc", "clang", "cc") if shutil.which(name)), None)
    if compiler is None or shutil.which(compiler) is None:
        return "there is no C compiler (gcc or clang), which Triton needs"
    if torch.cuda.get_device_capability(device) < (7, 0):
        return "the GPU is older than what Triton supports"
    return None
