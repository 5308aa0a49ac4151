"""Everything that is measured on GPUs, one part after the other, each with a limit of time: for machines lent by the minute.

    python benchmarks/on_gpu.py [--real DIR] [--only tests render step ...] [--minutes 30] [--log on_gpu.log]

Parts are in the order in which a reader would miss them. What a part prints goes to the terminal and to ``--log`` at once, so
that a machine that is taken away leaves what there was. A part that fails or runs out of time is named, and the next one
begins; the status is that of the tests. The compiler's cache is shared by all parts. DIR holds a real frame (see
``render.py``); without it the virtual stage is filmed, which takes longer.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import torch

ROOT = Path(__file__).resolve().parents[1]


def parts(real: Path | None, gpus: int) -> dict[str, tuple[float, list[str]]]:
    """Name -> most seconds, and the command."""
    python, here = sys.executable, "benchmarks"
    frame = [] if real is None else [str(real)]
    folder = [] if real is None else ["--folder", str(real)]
    of_real = [] if real is None else ["--real", str(real)]
    workers = str(max(2, (os.cpu_count() or 2) * 3 // 4))
    films = [*of_real, "--device", "cuda", "--workers", workers, "--noisy", "8"]
    several = {"scaling": (360.0, [python, f"{here}/scaling.py", "--minutes", "5.5"])} if gpus > 1 else {}
    return several | {
        "tests": (420.0, [python, "-m", "pytest", "-q", "-m", "gpu", "--tb=short", *_in_parallel(), "tests"]),
        "visualize": (150.0, [python, f"{here}/visualize.py", *films]),
        "test": (90.0, [python, f"{here}/test_speed.py"]),
        "loader": (270.0, [python, f"{here}/loader.py", *of_real, "--sources", "lz4", "jpeg", "raw", "png", "--train_only",
                           "--views_per_frame", "4", "--device", "cuda", "--seconds", "4"]),
        "render": (60.0, [python, f"{here}/render.py", *frame, "--on", "gpu", "--sizes", "2048x1334", "--backends", "triton"]),
        "step": (200.0, [python, f"{here}/step.py", *folder, "--modes", "fast", "--screen_archs", "base"]),
        "train": (400.0, [python, f"{here}/train.py", "--variants", "fast", "fast, jpeg", "--jobs", "6"]),
    }  # fmt: skip


def _in_parallel() -> list[str]:
    """Compiling kernels is most of the work of the tests, and processors have that to themselves."""
    from importlib.util import find_spec

    return ["-n", str(min(12, os.cpu_count() or 1))] if find_spec("xdist") else []


def run(command: list[str], limit: float, environment: dict[str, str], log: IO[str]) -> int | None:
    """The status of a command whose output goes to the terminal and to ``log``; None when its time was up."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )  # fmt: skip
    ends = time.monotonic() + limit
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            tell(line, log)
        status = process.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None if time.monotonic() >= ends and status < 0 else status


def tell(text: str, log: IO[str]) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
    log.write(text)
    log.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = list(parts(None, 2))
    parser.add_argument("--real", type=Path, help="folder of a real frame")
    parser.add_argument("--only", nargs="+", choices=names, help="these parts, in this order")
    parser.add_argument("--minutes", type=float, default=60.0, help="of all parts together")
    parser.add_argument("--log", type=Path, default=Path("on_gpu.log"))
    options = parser.parse_args()
    if not gpus:
        parser.error("there is no GPU here")
    chosen = parts(None if options.real is None else options.real.resolve(), gpus)
    ends, status = time.monotonic() + 60 * options.minutes, 0
    with tempfile.TemporaryDirectory() as cache, options.log.open("w", encoding="utf-8") as log:
        paths = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "TORCHINDUCTOR_CACHE_DIR": cache}
        for name in [name for name in options.only or chosen if name in chosen]:
            limit, command = chosen[name]
            left = ends - time.monotonic()
            if left < 20:
                tell(f"\n== {name}: no time left\n", log)
                continue
            tell(f"\n== {name}: {shlex.join(command)}\n", log)
            began = time.monotonic()
            # Processes beside each other with a thread for each core would be slower than with one.
            threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"} if name == "tests" else {}
            code = run(command, min(limit, left), {**environment, **threads}, log)
            told = "time was up" if code is None else f"status {code}"
            tell(f"== {name}: {told} after {time.monotonic() - began:.0f} s\n", log)
            status |= int(name == "tests" and code != 0)
    return status


if __name__ == "__main__":
    sys.exit(main())
