"""Numba against the reference on the CPU: time of forward + backward, peak memory, and scaling with threads.

    python benchmarks/render.py [--shared DIR] [--sizes 512x334 1024x667] [--threads 1 2] [--repeats N] [--json]

From a given gradient of the picture to those of vertices, projection and texture. The scene is the real frame in DIR/real (mesh
of 11,432 triangles, texture of 1024), or where that is absent a ball of as many. Times are medians of runs that alternate
between the backends and numbers of threads in one process, so that a busy machine disturbs all of them. Memory is the peak
of the resident set above what it was before the first full-size run, each backend in a process of its own. Kernels are
compiled beforehand.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from multiface.geometry import Topology
from multiface.render import render_mesh
from real_frame import SHARED, load_real_frame

TARGETS = {"512x334": 20.0, "1024x667": 30.0}
SCALING_TARGET = 1.6
MEMORY_TARGET = 10.0


def load_scene(shared: Path, size: tuple[int, int]):
    """Leaves vertices, projection and texture, and the topology."""
    if (shared / "real" / "KRT").is_file():
        frame = load_real_frame(shared, size)
        leaves = (frame.vertices, frame.projection, frame.texture)
        topology = frame.topology
    else:
        vertices, topology = ball(76)
        focal = 2.0 * min(size)
        matrix = [[focal, 0, size[1] / 2, 300 * size[1] / 2], [0, focal, size[0] / 2, 300 * size[0] / 2], [0, 0, 1, 300]]
        leaves = (vertices, torch.tensor([matrix]), torch.rand(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0)))
    return [leaf.requires_grad_() for leaf in leaves], topology


def ball(n: int) -> tuple[torch.Tensor, Topology]:
    """(1, V, 3) vertices and topology of a ball of 70 mm with about 2 n^2 triangles."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, n + 1), np.linspace(0, 2 * np.pi, n + 1), indexing="ij")
    points = 70 * np.stack([np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)], -1)
    index = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    uvs = np.stack([phi / (2 * np.pi), 1 - theta / np.pi], -1).reshape(-1, 2)
    return torch.from_numpy(points.reshape(1, -1, 3)).float(), Topology(faces, uvs, faces)


def forward_and_backward(leaves, topology, gradient: torch.Tensor, backend: str) -> None:
    vertices, projection, texture = leaves
    image = render_mesh(vertices, projection, topology, texture, gradient.shape[2:], backend=backend).image
    torch.autograd.grad(image, leaves, gradient)


def gradient_of(size: tuple[int, int]) -> torch.Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


def measure_time(shared: Path, size: tuple[int, int], threads: list[int], repeats: int) -> dict[str, dict[int, float]]:
    """Median seconds of each backend with each number of threads."""
    leaves, topology = load_scene(shared, size)
    gradient = gradient_of(size)
    times: dict[str, dict[int, list[float]]] = {name: {count: [] for count in threads} for name in ("reference", "numba")}
    for repeat in range(repeats + 1):
        for backend, runs in (("reference", 1), ("numba", 10)):
            for count in threads * runs:
                torch.set_num_threads(count)
                began = time.perf_counter()
                forward_and_backward(leaves, topology, gradient, backend)
                if repeat:  # the first warms up
                    times[backend][count].append(time.perf_counter() - began)
    return {name: {count: statistics.median(values) for count, values in counts.items()} for name, counts in times.items()}


def measure_memory(shared: Path, size: tuple[int, int], backend: str) -> float:
    """MiB of the peak above what was resident before."""
    leaves, topology = load_scene(shared, size)
    gradient = gradient_of(size)
    vertices, projection, texture = leaves
    small = [vertices, projection, texture.detach()[..., :32, :32].requires_grad_()]
    forward_and_backward(small, topology, gradient_of((32, 32)), backend)
    before = _peak_kib(reset=True)
    forward_and_backward(leaves, topology, gradient, backend)
    return (_peak_kib() - before) / 1024


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


def in_new_process(*arguments: str) -> dict:
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--sizes", nargs="+", default=["512x334", "1024x667"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", choices=["time", "reference", "numba"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    sizes = {name: tuple(int(side) for side in name.split("x")) for name in options.sizes}
    if options.measure:
        size = sizes[options.sizes[0]]
        if options.measure == "time":
            print(json.dumps(measure_time(options.shared, size, options.threads, options.repeats)))
        else:
            torch.set_num_threads(options.threads[0])
            print(json.dumps({"mib": measure_memory(options.shared, size, options.measure)}))
        return
    shared = ("--shared", str(options.shared))
    in_new_process(*shared, "--measure", "numba", "--sizes", "64x42")  # compiles
    results = {}
    for name in sizes:
        counts = [str(count) for count in options.threads]
        times = in_new_process(
            *shared, "--measure", "time", "--sizes", name, "--repeats", str(options.repeats), "--threads", *counts
        )
        memory = {
            backend: in_new_process(*shared, "--measure", backend, "--sizes", name, "--threads", "1")["mib"]
            for backend in ("reference", "numba")
        }
        results[name] = {"seconds": times, "peak_mib": memory}
    report(results, options.threads)
    if options.json:
        print(json.dumps(results))


def report(results: dict, threads: list[int]) -> None:
    print("| size | threads | reference s | numba s | faster | to reach |\n|---|---|---|---|---|---|")
    for name, result in results.items():
        for count in map(str, threads):
            slow, fast = result["seconds"]["reference"][count], result["seconds"]["numba"][count]
            print(f"| {name} | {count} | {slow:.3f} | {fast:.4f} | {slow / fast:.1f} | {TARGETS.get(name, '')} |")
    print("\n| size | reference MiB | numba MiB | smaller | to reach |\n|---|---|---|---|---|")
    for name, result in results.items():
        memory = result["peak_mib"]
        ratio = memory["reference"] / max(memory["numba"], 0.1)
        print(f"| {name} | {memory['reference']:.0f} | {memory['numba']:.0f} | {ratio:.1f} | {MEMORY_TARGET} |")
    if len(threads) > 1:
        print(f"\n| size | numba, {threads[0]} to {threads[-1]} threads | to reach |\n|---|---|---|")
        for name, result in results.items():
            first, last = (result["seconds"]["numba"][str(count)] for count in (threads[0], threads[-1]))
            print(f"| {name} | {first / last:.2f} | {SCALING_TARGET} |")


if __name__ == "__main__":
    main()
