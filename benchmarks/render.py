"""The renderer's speed and memory: every backend that is there, on the CPU and on a GPU.

    python benchmarks/render.py [FRAME] [--on cpu gpu] [--sizes 512x334 1024x667 2048x1334] [--batches 1 16]
        [--backends triton nvdiffrast] [--threads 1 2] [--repeats N] [--json]

FRAME is a folder with one frame of a capture: ``<frame>.bin``, ``<frame>_avgtex.png``, ``<frame>_transform.txt``, the photo
``<frame>.png``, ``face_topology.obj``, ``KRT``, ``camera.txt`` (the photo's camera) and ``loss_weight_mask.png``. Without
it the real frame beside the repository is rendered, and where that is absent the head of the virtual stage. Vertices get
noise of 0.2 mm, so that items differ. On the CPU the batch is 1 and the full size is left out unless asked for.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import render_on_cpu
import render_on_gpu
from render_workload import Frame, load_frame

REAL_FRAME = Path(__file__).resolve().parent.parent.parent / "shared" / "real"
SIZES = ["512x334", "1024x667", "2048x1334"]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frame", type=Path, nargs="?", default=REAL_FRAME)
    parser.add_argument("--on", nargs="+", choices=["cpu", "gpu"], default=["gpu" if torch.cuda.is_available() else "cpu"])
    parser.add_argument("--sizes", nargs="+", default=None)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16])
    parser.add_argument(
        "--backends", nargs="+", choices=render_on_gpu.BACKENDS, default=render_on_gpu.BACKENDS, help="on a GPU"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="all figures as the last line")
    parser.add_argument("--measure", choices=["time", *render_on_cpu.BACKENDS], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    if options.measure:
        print(json.dumps(measure_here(options)))
        return
    frame = load_frame(options.frame)
    results = {"scene": frame.name, "versions": versions()}
    print(
        f"{frame.name}, {len(frame.vertices)} vertices, {len(frame.topology.faces)} triangles; " + describe(results["versions"])
    )
    if "cpu" in options.on:
        results["cpu"], results["cores"] = measure_cpu(options), render_on_cpu.measure_cores(options.threads, options.repeats)
        render_on_cpu.report(results["cpu"], options.threads, results["cores"])
    if "gpu" in options.on:
        results["gpu"] = measure_gpu(options, frame)
        render_on_gpu.report(results["gpu"])
    if options.json:
        print(json.dumps(results))


def measure_gpu(options: argparse.Namespace, frame: Frame) -> dict:
    sizes = [parse_size(name) for name in options.sizes or SIZES]
    return render_on_gpu.measure(frame, options.backends, sizes, options.batches, options.repeats)


def measure_cpu(options: argparse.Namespace) -> dict:
    """Every measurement in a process of its own."""
    in_new_process(options, "--measure", "numba", "--sizes", "64x42")  # compiles
    threads, results = [str(count) for count in options.threads], {}
    for name in options.sizes or SIZES[:2]:
        times = in_new_process(
            options, "--measure", "time", "--sizes", name, "--repeats", str(options.repeats), "--threads", *threads
        )
        memory = {b: in_new_process(options, "--measure", b, "--sizes", name)["mib"] for b in render_on_cpu.BACKENDS}
        results[name] = {"seconds": times, "peak_mib": memory}
    return results


def in_new_process(options: argparse.Namespace, *arguments: str) -> dict:
    command = [sys.executable, str(Path(__file__).resolve()), str(options.frame), *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def measure_here(options: argparse.Namespace) -> dict:
    """What :func:`measure_cpu` asks a new process for."""
    frame, size = load_frame(options.frame), parse_size(options.sizes[0])
    if options.measure == "time":
        return render_on_cpu.measure_time(frame, size, options.threads, options.repeats)
    return {"mib": render_on_cpu.measure_memory(frame, size, options.measure)}


def parse_size(name: str) -> tuple[int, int]:
    height, width = name.split("x")
    return int(height), int(width)


def versions() -> dict[str, str]:
    """Of all that decides the figures."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    for name in ("triton", "numba", "nvdiffrast"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def describe(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


if __name__ == "__main__":
    main()
