"""Numba against the reference on the CPU: time, memory, scaling with threads; part of ``benchmarks/render.py``.

From a given gradient of the picture to those of vertices, projection and texture. Times are medians of runs that alternate
between the backends and numbers of threads in one process, so that a busy machine disturbs all of them. Memory is the peak
of the resident set above what it was before the first full-size run, each backend in a process of its own.
"""

from __future__ import annotations

import ctypes
import resource
import statistics
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from multiface.render import render_mesh
from multiface.render.cpu.jit import kernel
from multiface.render.cpu.threads import run_parallel
from render_workload import Frame, Workload, make_workload

BACKENDS = ("reference", "numba")
TARGETS = {(512, 334): 20.0, (1024, 667): 30.0}
SCALING_TARGET = 1.6
MEMORY_TARGET = 10.0


def measure_time(frame: Frame, size: tuple[int, int], threads: list[int], repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds of each backend with each number of threads."""
    work, gradient = make_workload(frame, 1, size, "cpu"), gradient_of(size)
    times: dict[str, dict[str, list[float]]] = {name: {str(count): [] for count in threads} for name in BACKENDS}
    for repeat in range(repeats + 1):
        for backend, runs in (("reference", 1), ("numba", 10)):
            for count in threads * runs:
                torch.set_num_threads(count)
                began = time.perf_counter()
                forward_and_backward(work, gradient, backend)
                if repeat:  # the first warms up
                    times[backend][str(count)].append(time.perf_counter() - began)
    return {name: {count: statistics.median(values) for count, values in counts.items()} for name, counts in times.items()}


def measure_cores(threads: list[int], repeats: int) -> dict[str, float]:
    """Median seconds of arithmetic within the first cache on each number of threads: what the cores allow at best.

    Each thread has its own numbers, and the loop keeps the arithmetic units busy: virtual processors that share the units of
    one core give more than that only to code that waits.
    """
    times: dict[str, list[float]] = {str(count): [] for count in threads}
    numbers = [np.ones(4096, np.float32) for _ in range(4 * max(threads))]
    for repeat in range(repeats + 1):
        for count in threads:
            began = time.perf_counter()
            run_parallel(lambda task: _calculate(numbers[task], 100_000), len(numbers), count)
            if repeat:
                times[str(count)].append(time.perf_counter() - began)
    return {count: statistics.median(values) for count, values in times.items()}


@kernel
def _calculate(numbers, rounds):
    for _ in range(rounds):
        for i in range(len(numbers)):
            numbers[i] = numbers[i] * np.float32(0.999) + np.float32(0.5)
    return numbers[0]


def measure_memory(frame: Frame, size: tuple[int, int], backend: str) -> float:
    """MiB of the peak above what was resident before."""
    torch.set_num_threads(1)
    forward_and_backward(make_workload(frame, 1, (32, 32), "cpu"), gradient_of((32, 32)), backend)
    work, gradient = make_workload(frame, 1, size, "cpu"), gradient_of(size)
    _give_back_freed_memory()
    before = _peak_kib(reset=True)
    forward_and_backward(work, gradient, backend)
    return (_peak_kib() - before) / 1024


def gradient_of(size: tuple[int, int]) -> torch.Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


def forward_and_backward(work: Workload, gradient: torch.Tensor, backend: str) -> None:
    leaves = work.leaves()
    vertices, projection, texture = leaves
    image = render_mesh(vertices, projection, work.topology, texture, work.size, backend=backend).image
    torch.autograd.grad(image, leaves, gradient)


def _give_back_freed_memory() -> None:
    """What making the workload has freed would otherwise be used again, and not be counted."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _peak_kib(reset: bool = False) -> int:
    """Highest resident set so far; ``reset`` starts counting from what is resident now where the system allows it."""
    if reset:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def report(result: dict, threads: list[int], cores: dict[str, float]) -> None:
    """Tables of the times and memory of ``{"HxW": {"seconds": ..., "peak_mib": ...}}``, and the figures of the cores."""
    sizes = {name: tuple(int(side) for side in name.split("x")) for name in result}
    print("\n| picture | threads | reference s | numba s | faster | to reach |\n|---|---|---|---|---|---|")
    for name, row in result.items():
        for count in map(str, threads):
            slow, fast = row["seconds"]["reference"][count], row["seconds"]["numba"][count]
            print(f"| {name} | {count} | {slow:.3f} | {fast:.4f} | {slow / fast:.1f} | {TARGETS.get(sizes[name], '')} |")
    print("\n| picture | reference MiB | numba MiB | smaller | to reach |\n|---|---|---|---|---|")
    for name, row in result.items():
        memory = row["peak_mib"]
        ratio = memory["reference"] / max(memory["numba"], 0.1)
        print(f"| {name} | {memory['reference']:.0f} | {memory['numba']:.0f} | {ratio:.1f} | {MEMORY_TARGET} |")
    if len(threads) > 1:
        print(f"\n| picture | numba, {threads[0]} to {threads[-1]} threads | to reach |\n|---|---|---|")
        print(f"| (arithmetic alone) | {cores[str(threads[0])] / cores[str(threads[-1])]:.2f} | |")
        for name, row in result.items():
            first, last = (row["seconds"]["numba"][str(count)] for count in (threads[0], threads[-1]))
            print(f"| {name} | {first / last:.2f} | {SCALING_TARGET} |")
