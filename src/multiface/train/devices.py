"""Which device a process computes on."""

from __future__ import annotations

import torch

from multiface.core.errors import ArgumentError
from multiface.train.launch import Launch


def choose_device(name: str | None, launch: Launch | None = None) -> torch.device:
    """The device asked for, else this process's GPU, else the CPU. A GPU becomes the current one of the process.

    Kernels that are compiled here and recorded graphs run on the current GPU, whatever their tensors are on.

    Args:
        name: As PyTorch spells it, or None.
        launch: This process's place in a job; its place on the machine chooses the GPU.

    Raises:
        ArgumentError: there is no such device here, or not one for each process.
    """
    device = find_device(name, launch or Launch())
    if device.type == "cuda" and device.index is not None:  # without a number it is the current one already
        torch.cuda.set_device(device)
    return device


def find_device(name: str | None, launch: Launch) -> torch.device:
    """As :func:`choose_device`, for those who only pass it on: no GPU becomes the current one, which would take its memory."""
    if launch.world_size > 1 and name in (None, "cuda") and (name == "cuda" or torch.cuda.is_available()):
        return _gpu_of(launch)
    if launch.world_size > 1 and name is not None and name.startswith("cuda:"):
        raise ArgumentError(
            "--device names one GPU for several processes",
            found=name,
            remedy="Leave it out: each process takes the GPU of its place; CUDA_VISIBLE_DEVICES chooses among them",
        )
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError(
            "--device cannot be used here",
            found=name,
            expected="cpu, or cuda where PyTorch sees a GPU",
            remedy="`multiface doctor` shows the devices",
        ) from error
    return device


def _gpu_of(launch: Launch) -> torch.device:
    there = torch.cuda.device_count()
    # Slurm may show every process one GPU of its own; that no two share one is looked at when they have met.
    if there == 1 and not launch.agent_store:
        return torch.device("cuda:0")
    wanted = max(launch.local_world_size or 0, launch.local_rank + 1)
    if wanted > there:
        raise ArgumentError(
            "there are more processes on this machine than GPUs",
            expected=f"at most {there}",
            found=f"{wanted} processes",
            remedy=f"Use --nproc_per_node={there}" if there else "Use --device cpu",
        )
    return torch.device(f"cuda:{launch.local_rank}")
