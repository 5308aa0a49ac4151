"""The convolutions of the networks one by one, in the forms they can take; part of ``benchmarks/step.py``."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F

BATCH = 16
# name, kind, channels in, channels out, side of the input
LAYERS = (
    ("encoder 1.1", "down", 3, 16, 1024), ("encoder 1.2", "down", 16, 16, 512), ("encoder 2.1", "down", 16, 32, 256),
    ("encoder 2.2", "down", 32, 32, 128), ("decoder 2.1", "up", 32, 32, 64), ("decoder 2.2", "up", 32, 16, 128),
    ("decoder 3.1", "up", 16, 16, 256), ("decoder 3.2", "up", 16, 3, 512), ("warp 2.2", "up", 64, 32, 64),
    ("warp 3.1", "up", 32, 32, 128), ("warp 3.2", "up", 32, 16, 256), ("residual 16", "same", 16, 16, 512),
    ("residual 16, half", "same", 16, 16, 256), ("residual 32", "same", 32, 32, 128),
    ("residual 3", "same", 3, 3, 1024), ("warp last", "same", 16, 8, 512),
)  # fmt: skip


def forms_of(kind: str, n_in: int, n_out: int, side: int) -> dict[str, tuple[tuple, tuple, dict]]:
    """Form -> shapes of input and kernel, and options of ``aten.convolution``; channels padded to 8 or 16 where few."""

    def padded(channels: int) -> int:
        return -(-channels // (8 if channels <= 8 else 16)) * (8 if channels <= 8 else 16)

    if kind == "up":
        plain = {"stride": 2, "padding": 1, "transposed": True}
        return {
            "plain": ((n_in, side), (n_in, n_out, 4, 4), plain),
            "plain, padded": ((n_in, side), (n_in, padded(n_out), 4, 4), plain),
            "windows 2x2": ((n_in, side), (padded(4 * n_out), n_in, 2, 2), {"stride": 1, "padding": 1}),
            "sub-pixel 3x3": ((n_in, side), (padded(4 * n_out), n_in, 3, 3), {"stride": 1, "padding": 1}),
        }
    if kind == "down":
        return {
            "plain": ((n_in, side), (n_out, n_in, 4, 4), {"stride": 2, "padding": 1}),
            "plain, padded": ((padded(n_in), side), (n_out, padded(n_in), 4, 4), {"stride": 2, "padding": 1}),
            "cells 2x2": ((padded(4 * n_in), side // 2 + 1), (n_out, padded(4 * n_in), 2, 2), {"stride": 1, "padding": 0}),
        }
    same = {"stride": 1, "padding": 1}
    found = {
        "plain": ((n_in, side), (n_out, n_in, 3, 3), same),
        "plain, padded": ((padded(n_in), side), (padded(n_out), padded(n_in), 3, 3), same),
    }
    for level in (1, 2):
        cells = 4**level
        shape = (padded(cells * n_out), padded(cells * n_in), 3, 3)
        found[f"cells of {2**level} x {2**level}"] = ((shape[1], side // 2**level), shape, same)
    return found


def measure_layers(repeats: int, kinds: list[str]) -> list[dict]:
    """A row for each layer (of some kinds, or all) and form: milliseconds of the result, of the gradient of the input and of
    that of the kernel; bfloat16, channels last."""
    torch.backends.cudnn.benchmark = True
    rows = []
    for name, kind, n_in, n_out, side in (layer for layer in LAYERS if not kinds or layer[1] in kinds):
        for form, (inputs, kernel, options) in forms_of(kind, n_in, n_out, side).items():
            rows.append({"layer": name, "form": form, **_times(inputs, kernel, options, repeats)})
            torch.cuda.empty_cache()
    return rows


def _times(inputs: tuple[int, int], kernel_shape: tuple[int, ...], options: dict, repeats: int) -> dict[str, float]:
    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device="cuda", dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)

    channels, side = inputs
    x, kernel = random(BATCH, channels, side, side), random(*kernel_shape)
    stride, padding, transposed = [options["stride"]] * 2, [options["padding"]] * 2, options.get("transposed", False)

    def forward() -> torch.Tensor:
        function = F.conv_transpose2d if transposed else F.conv2d
        return function(x, kernel, stride=stride, padding=padding)

    y = random(*forward().shape)

    def backward(*wanted: bool) -> Callable[[], object]:
        arguments = (y, x, kernel, None, stride, padding, [1, 1], transposed, [0, 0], 1, [*wanted, False])
        return lambda: torch.ops.aten.convolution_backward(*arguments)

    return {
        "forward": _median(forward, repeats),
        "input": _median(backward(True, False), repeats),
        "kernel": _median(backward(False, True), repeats),
    }


def _median(work: Callable[[], object], repeats: int) -> float:
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        times.append((begin, end))
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) for begin, end in times)


def report_layers(rows: list[dict]) -> None:
    """A table for people."""
    print("| layer | form | forward | input gradient | kernel gradient | sum, ms |\n|---|---|---|---|---|---|")
    for row in rows:
        values = [row["forward"], row["input"], row["kernel"]]
        print(f"| {row['layer']} | {row['form']} | " + " | ".join(f"{v:.3f}" for v in [*values, sum(values)]) + " |")
    print()
