"""Training on 1, 2, 4... GPUs of one machine: images per second, the same losses, and what checkpoints and the loop cost.

    python benchmarks/scaling.py [--processes 1 2] [--sections ...] [--minutes 6] [--out scaling.json] [--arch base]
                                 [--tex_size 1024] [--batch 16] [--views_per_frame 4] [--updates 400] [--data CAPTURE]

Data are a generated store, or CAPTURE. For every number of processes, in one launch:

* ``losses``: as many images for an update as the largest number of processes takes, on every number of processes, so that
  all do the same updates; not compiled. The largest relative difference to one process is given, also that of the compiled
  training of the largest number.
* ``training``: the trainer with ``--batch`` images for each process; scaling is against one process.
* ``checkpoint`` (one process): the training goes on, with a checkpoint, without one, and so on; what one costs. The first
  takes its memory, the others have it.
* ``step``: one batch again and again, nothing read: what the GPUs need.
* ``loop`` (one process): the same updates without the trainer around them (no log, guard of signals, positions), so what the
  trainer adds.
* ``sum`` (several): 101 MB summed over the GPUs with nothing beside it.

``checkpoint``, ``step`` and ``loop`` go on with the trainer of ``training``, and bring that along.

Every result is printed and written to ``--out`` at once. A section that fails is named and the others go on; what ``--minutes``
leaves no time for is left out. The compiler's cache is shared: the first launch pays for most.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scaling_capture import write_store

TARGETS = {2: 1.9, 4: 3.6}
SECTIONS = ("losses", "sum", "training", "checkpoint", "step", "loop")
AFTER_TRAINING = {"checkpoint", "step", "loop"}
CHECKPOINTS = 3
"""How many are measured, each against as many updates without one."""
LAST_WORDS = 15.0
"""Seconds beyond ``--minutes`` before processes are ended."""


def launch(arguments: argparse.Namespace, processes: int, folder: Path, capture: Path, deadline: float) -> list[dict]:
    """Run the sections on so many processes; what the first process had to say until it ended, however it ended."""
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    results = folder / f"results-{processes}.jsonl"
    results.touch()
    options = {
        "data_dir": str(capture), "arch": arguments.arch, "tex_size": arguments.tex_size, "nlatent": arguments.nlatent,
        "train_batch_size": arguments.batch, "validation": "none", "log_every": 1_000_000, "val_every": 1_000_000,
        "epochs": 1_000_000, "cache_gb": arguments.cache_gb, "n_worker": arguments.n_worker, "compile": arguments.compile,
        "views_per_frame": arguments.views_per_frame, "reading_processes": arguments.reading_processes,
    }  # fmt: skip
    plan = {
        "processes": processes, "port": store.port, "device": arguments.device, "folder": str(folder), "options": options,
        "sections": arguments.sections, "results": str(results), "deadline": deadline, "bucket_mb": arguments.bucket_mb,
        "warm_up": arguments.warm_up, "updates": arguments.updates,
        "checkpoints": CHECKPOINTS, "checkpoint_updates": arguments.checkpoint_updates,
        "loss_updates": arguments.loss_updates, "total": arguments.batch * max(arguments.processes),
    }  # fmt: skip
    file = folder / f"plan-{processes}.json"
    file.write_text(json.dumps(plan))
    command = [sys.executable, __file__, "--worker", str(file)]
    running = [subprocess.Popen([*command, str(rank)], env=_environment(arguments)) for rank in range(processes)]
    statuses = _wait(running, deadline + LAST_WORDS)
    found = [json.loads(line) for line in results.read_text().splitlines()]
    if any(statuses):
        found.append({"processes": processes, "section": "launch", "error": f"the processes ended with {statuses}"})
        print(f"  {found[-1]}", flush=True)
    return found


def _environment(arguments: argparse.Namespace) -> dict[str, str]:
    """One cache for the compiler, whichever GPU a process has; threads as torchrun has them for several processes."""
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(arguments.cache), "TRITON_CACHE_DIR": str(arguments.cache / "triton")}
    return {**cache, "TORCHINDUCTOR_FX_GRAPH_CACHE": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **os.environ}


def _wait(running: list[subprocess.Popen], deadline: float) -> list[int]:
    """Exit statuses; when one fails or time is over the others get a little time, and are then ended."""
    while any(process.poll() is None for process in running):
        time.sleep(0.2)
        if any(process.poll() for process in running):
            deadline = min(deadline, time.time() + 2 * LAST_WORDS)
        if time.time() > deadline:
            for process in running:
                process.kill()
    return [process.wait() for process in running]


def summarise(results: list[dict]) -> dict:
    """The figures that are asked for, as far as they are there."""
    failed = [result for result in results if "error" in result or "left_out" in result]
    found = {(result["processes"], result["section"]): result for result in results if result not in failed}
    numbers = sorted({n for n, _ in found})
    one, reference = found.get((1, "training")), found.get((1, "losses"), {}).get("totals")
    figures: dict = {"images_per_second": {}, "scaling": {}, "step_scaling": {}, "losses_differ": {}}
    for n in numbers:
        training, losses = found.get((n, "training")), found.get((n, "losses"))
        if training:
            figures["images_per_second"][n] = training["images_per_second"]
        if training and one:
            figures["scaling"][n] = training["images_per_second"] / one["images_per_second"]
        if (n, "step") in found and (1, "step") in found:
            figures["step_scaling"][n] = n * found[1, "step"]["ms"] / found[n, "step"]["ms"]
        if losses and reference:
            figures["losses_differ"][n] = _difference(losses["totals"], reference)
        if training and reference and n == max(numbers) > 1:
            figures["compiled_losses_differ"] = _difference(training["totals"], reference)
    loop, checkpoint = found.get((1, "loop")), found.get((1, "checkpoint"))
    if one and loop:
        figures["trainer_adds"] = one["ms"] / loop["ms"] - 1
    if checkpoint:
        figures |= {name: checkpoint[name] for name in ("lost_s", "lost_per_1000_updates")}
    figures["failed"] = failed
    return figures


def _difference(losses: list[float], reference: list[float]) -> float:
    """The largest relative one."""
    return max(abs(x - y) / abs(y) for x, y in zip(losses, reference))


def report(figures: dict, batch: int) -> None:
    """Say it to people."""
    for n, value in figures["images_per_second"].items():
        scaling = figures["scaling"].get(n)
        target = f" (asked: {TARGETS[n]})" if n in TARGETS else ""
        compared = f", {scaling:.3f} times one{target}" if scaling else ""
        print(f"{n} processes, {batch} images each: {value:.1f} images/s{compared}")
    for n, value in figures["step_scaling"].items():
        print(f"{n} processes, nothing read: {value:.3f} times one")
    for n, value in figures["losses_differ"].items():
        print(f"{n} processes, losses within {value:.1e} of those of one process")
    if "compiled_losses_differ" in figures:
        print(f"the compiled training of the most processes: losses within {figures['compiled_losses_differ']:.1e} of those")
    if "trainer_adds" in figures:
        print(f"the trainer adds {figures['trainer_adds']:.1%} to bare updates")
    if "lost_s" in figures:
        lost = figures["lost_per_1000_updates"]
        print(f"a checkpoint costs {figures['lost_s'] * 1e3:.0f} ms, {lost:.2%} of 1,000 updates with one (asked: below 1 %)")
    for failure in figures["failed"]:
        print(f"not measured: {failure}")
    sys.stdout.flush()


def arguments_of(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", help="numbers of processes; 1 to all GPUs in doublings by default")
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="checkpoint, step and loop bring training along"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="of all together; what has no time is left out")
    parser.add_argument("--out", type=Path, help="file for all results, JSON, written after every launch")
    parser.add_argument("--arch", default="base")
    parser.add_argument("--tex_size", type=int, default=1024)
    parser.add_argument("--nlatent", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16, help="images for each process")
    parser.add_argument("--views_per_frame", type=int, default=4)
    parser.add_argument("--updates", type=int, default=400, help="measured updates; a multiple of 20")
    parser.add_argument("--warm_up", type=int, default=80, help="updates before measuring; a multiple of 20")
    parser.add_argument("--loss_updates", type=int, default=40)
    parser.add_argument("--checkpoint_updates", type=int, default=1000, help="updates with one, and without")
    parser.add_argument("--grid", type=int, default=84, help="cells along a side of the generated mesh")
    parser.add_argument("--cache_gb", type=float, default=0.3)
    parser.add_argument("--n_worker", type=int, help="reading threads of each process; as many as there are cores for")
    parser.add_argument("--reading_processes", type=int, help="among which those are divided; as the trainer chooses")
    parser.add_argument("--data", type=Path, help="capture or packed store to train on")
    parser.add_argument("--bucket_mb", type=int, help="size of the pieces in which gradients are summed, in place of the usual")
    parser.add_argument("--device", default=None, help="cpu, or the GPUs")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--cache", type=Path, help="folder of the compiler's cache; a temporary one when absent")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(words)
    if AFTER_TRAINING & set(arguments.sections):
        arguments.sections = {*arguments.sections, "training"}
    arguments.sections = [name for name in SECTIONS if name in arguments.sections]
    return arguments


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        from scaling_work import main as work

        work(*sys.argv[2:4])
        return
    arguments = arguments_of(sys.argv[1:])
    deadline = time.time() + 60 * arguments.minutes
    import torch

    most = 1 if arguments.device == "cpu" else max(torch.cuda.device_count(), 1)
    arguments.processes = arguments.processes or [n for n in (1, 2, 4, 8) if n <= most]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    arguments.n_worker = arguments.n_worker or max(1, min(16, cores // max(arguments.processes) * 3 // 4))
    results: list[dict] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        arguments.cache = arguments.cache or folder / "compiled"
        window = arguments.checkpoint_updates if "checkpoint" in arguments.sections else 0
        updates = arguments.warm_up + arguments.updates + 2 * CHECKPOINTS * window
        views = updates * arguments.batch * max(arguments.processes)
        capture = arguments.data or write_store(folder, views, tex_size=arguments.tex_size, grid=arguments.grid)
        print(f"{capture.name}, {arguments.n_worker} reading threads for each process", flush=True)
        for n in arguments.processes:
            began = time.time()
            results += launch(arguments, n, folder, capture, deadline)
            print(f"{n} processes took {time.time() - began:.0f} s", flush=True)
            figures = summarise(results)
            if arguments.out:
                arguments.out.write_text(json.dumps({"figures": figures, "results": results}, indent=1) + "\n")
    report(figures, arguments.batch)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
