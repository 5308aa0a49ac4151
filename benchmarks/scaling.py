"""Training on 1, 2, 4... GPUs of one machine: images per second, the same losses, and what checkpoints and the loop cost.

    python benchmarks/scaling.py [--processes 1 2 4] [--arch base] [--tex_size 1024] [--batch 16] [--updates 200]
                                 [--data CAPTURE] [--device cuda] [--json]

Data are a generated capture whose decoded pictures stay in memory, or CAPTURE (packed, or small enough for memory). For every
number of processes, in one launch:

* ``throughput``: the trainer with ``--batch`` images for each process; scaling is against one process.
* ``losses``: as many images for an update as the largest number of processes takes, on every number of processes, so that
  all do the same updates; the largest relative difference to one process is given.

With one process also:

* ``loop``: the same updates without the trainer around them (no log, guard of signals, positions), so what the trainer adds.
* ``checkpoint``: a checkpoint every ``--save_every`` updates; what that costs of 1,000 updates.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TARGETS = {2: 1.9, 4: 3.6}
FRAMES, CAMERAS = 64, 16
"""Of the generated capture: long epochs, whose batches are whole for 1 to 16 processes of 16 to 64 images."""
PICTURES = 8
"""Different ones; files of the same picture are links to one, and are decoded and kept in memory each by itself."""
GRID = 84
"""Cells along a side of the mesh: 7,225 vertices, about as many as published."""


def write_capture(root: Path, tex_size: int, cameras: int = CAMERAS, grid: int = GRID) -> None:
    """A capture whose pictures compress as faces do; no photos."""
    import cv2

    from multiface.capture import (
        Camera,
        CaptureLayout,
        FrameKey,
        Statistics,
        Topology,
        write_frame_list,
        write_head_pose,
        write_image,
        write_krt,
        write_obj,
        write_statistics,
        write_vertices,
    )  # fmt: skip

    random = np.random.default_rng(0)
    side = np.arange((grid + 1) ** 2).reshape(grid + 1, grid + 1)
    a, b, c, d = side[:-1, :-1], side[:-1, 1:], side[1:, 1:], side[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    v, u = np.meshgrid(np.linspace(0, 1, grid + 1), np.linspace(0, 1, grid + 1), indexing="ij")
    topology = Topology(faces=faces, uvs=np.stack([u, v], -1).reshape(-1, 2), uv_faces=faces)
    x, y = 2 * topology.uvs.T - 1
    dome = np.stack([80 * x, 100 * y, 60 * (1 - 0.5 * (x * x + y * y))], -1).astype(np.float32)
    layout = CaptureLayout(root, tex_size)
    K = np.array([[6000.0, 0, 667], [0, 6000.0, 1024], [0, 0, 1]])
    rig = []
    for i, angle in enumerate(np.linspace(-0.7, 0.7, cameras)):
        R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        centre = np.array([0, 0, 1000.0]) - 1000.0 * R[2]
        rig.append(Camera(f"4000{i:02d}", K, np.column_stack([R, -R @ centre]), (2048, 1334)))
    keys = [FrameKey("E001_Neutral_Eyes_Open", f"{3 * i:06d}") for i in range(FRAMES)]
    write_krt(layout.krt, rig)
    write_frame_list(layout.frame_list, keys)

    def picture() -> np.ndarray:
        smooth = cv2.resize(random.uniform(40, 200, (16, 16, 3)).astype(np.float32), (tex_size, tex_size))
        return np.clip(smooth + random.normal(0, 3, smooth.shape), 1, 255).astype(np.uint8)

    originals = [root / f"original-{i}.png" for i in range(PICTURES)]
    for path in originals:
        write_image(path, picture())
    write_obj(layout.mesh(keys[0]), dome, topology)
    for number, key in enumerate(keys):
        write_vertices(layout.vertices(key), dome + random.normal(0, 1, dome.shape).astype(np.float32))
        write_head_pose(layout.head_pose(key), np.column_stack([np.diag([1.0, -1.0, -1.0]), [0, 0, 1000.0]]))
        files = [layout.average(key), *(layout.texture(key, camera.name) for camera in rig)]
        files += [layout.mesh(key)] if number else []
        for i, file in enumerate(files):
            file.parent.mkdir(parents=True, exist_ok=True)
            os.link(layout.mesh(keys[0]) if file.suffix == ".obj" else originals[(number + i) % PICTURES], file)
    write_statistics(layout, Statistics(picture(), 400.0, dome, 9.0))


class Clock:
    """Observer that notes when updates were known to be done, and their losses."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.totals: list[float] = []

    def updated(self, position, values, images_per_second) -> None:
        self.times.append(time.perf_counter())
        self.totals.append(values["total"])

    def logged(self, iteration, values) -> None: ...
    def validated(self, iteration, values, best) -> None: ...
    def pictures(self, tag, prediction, batch) -> None: ...

    def seconds(self, warm_up: int) -> float:
        """From update ``warm_up`` to the last; on a GPU updates are read in groups, of which these must be multiples."""
        return self.times[-1] - self.times[warm_up - 1]


def bare_seconds(trainer, updates: int, warm_up: int) -> float:
    """The same updates with nothing around them but the reading of data and of losses."""
    from multiface.train.update import READ_EVERY

    done, began = 0, 0.0
    while done < updates:
        trainer.train_loader.set_epoch(done)
        for share in trainer.batches.shares():
            if done in (warm_up, updates):
                trainer.update.read()
                began = began if done == updates else time.perf_counter()
            if done >= updates:
                break
            trainer.update(share.batch.to(trainer.device))
            done += 1
            if done % READ_EVERY == 0 or trainer.device.type == "cpu":
                trainer.update.read()
    trainer.update.read()
    return time.perf_counter() - began


def work(plan: dict, rank: int) -> list[dict]:
    """What one process does: every task of the plan, one after another."""
    from dataclasses import replace

    from multiface.train.build import build_trainer
    from multiface.train.config import TrainConfig
    from multiface.train.devices import choose_device
    from multiface.train.distributed import job
    from multiface.train.launch import Launch

    n = plan["processes"]
    results = []
    for attempt, task in enumerate(plan["tasks"]):
        launch = Launch(rank, n, rank, n, "127.0.0.1", plan["port"], True, attempt)
        config = replace(TrainConfig.from_json(plan["options"]), **task["options"])
        config = replace(config, result_path=Path(plan["folder"]) / f"{n}-{attempt}")
        device = choose_device(plan["device"], launch)
        with job(launch, device) as group:
            clock = Clock()
            trainer = build_trainer(replace(config, device=None if device.type == "cuda" else "cpu"), clock, group)
            if task["what"] == "loop":
                seconds = bare_seconds(trainer, config.max_iter, plan["warm_up"])
                trainer.close()
            else:
                trainer.run()
                seconds = clock.seconds(plan["warm_up"])
        images = (config.total_batch_size or config.train_batch_size * n) * (config.max_iter - plan["warm_up"])
        results.append({"what": task["what"], "processes": n, "seconds": seconds, "images_per_second": images / seconds}
                       | {"ms": 1e3 * seconds / (config.max_iter - plan["warm_up"]), "losses": clock.totals})  # fmt: skip
    return results


def launch(arguments: argparse.Namespace, processes: int, folder: Path, capture: Path) -> list[dict]:
    """Run all tasks for one number of processes; results of the first process."""
    import torch.distributed as dist

    updates, warm_up = arguments.updates + arguments.warm_up, arguments.warm_up
    total = arguments.batch * max(arguments.processes)
    tasks = [{"what": "throughput", "options": {"max_iter": updates}}]
    tasks.append({"what": "losses", "options": {"max_iter": arguments.loss_updates + warm_up, "total_batch_size": total}})
    if processes == 1:
        every = {"max_iter": updates, "save_every": arguments.save_every}
        tasks += [{"what": "loop", "options": {"max_iter": updates}}, {"what": "checkpoint", "options": every}]
        tasks += [{"what": "throughput", "options": {"max_iter": updates}}]  # again: what two equal runs differ by
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    options = {
        "data_dir": str(capture), "arch": arguments.arch, "tex_size": arguments.tex_size, "nlatent": arguments.nlatent,
        "train_batch_size": arguments.batch, "validation": "none", "log_every": 1_000_000, "val_every": 1_000_000,
        "epochs": 1_000_000, "cache_gb": arguments.cache_gb, "n_worker": arguments.n_worker,
    }  # fmt: skip
    plan = {
        "processes": processes, "port": store.port, "device": arguments.device, "folder": str(folder), "warm_up": warm_up,
        "options": options, "tasks": tasks,
    }  # fmt: skip
    file = folder / f"plan-{processes}.json"
    file.write_text(json.dumps(plan))
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if processes > 1 else {})}
    command = [sys.executable, __file__, "--worker", str(file)]
    running = [subprocess.Popen([*command, str(rank)], env=environment) for rank in range(processes)]
    statuses = [process.wait() for process in running]
    if any(statuses):
        raise SystemExit(f"{processes} processes ended with {statuses}")
    return json.loads(file.with_suffix(".results").read_text())


def summarise(results: list[dict], arguments: argparse.Namespace) -> dict:
    """The figures that are asked for."""
    found = {n: [r for r in results if r["processes"] == n] for n in arguments.processes}

    def rate(n: int, what: str) -> float:
        return statistics.median(r["images_per_second"] for r in found[n] if r["what"] == what)

    figures: dict = {"images_per_second": {n: rate(n, "throughput") for n in found}, "scaling": {}, "losses_differ": {}}
    if 1 not in found:
        return figures
    one = next(r for r in found[1] if r["what"] == "losses")["losses"]
    for n in found:
        figures["scaling"][n] = rate(n, "throughput") / rate(1, "throughput")
        same = next(r for r in found[n] if r["what"] == "losses")["losses"]
        figures["losses_differ"][n] = max(abs(x - y) / abs(y) for x, y in zip(same, one))
    ms = {
        what: statistics.median(r["ms"] for r in found[1] if r["what"] == what) for what in ("throughput", "loop", "checkpoint")
    }
    per_checkpoint = (ms["checkpoint"] - ms["throughput"]) * arguments.save_every
    figures |= {
        "ms": ms, "trainer_adds": ms["throughput"] / ms["loop"] - 1, "seconds_per_checkpoint": per_checkpoint / 1e3,
        "lost_per_1000_updates": per_checkpoint / (1000 * ms["throughput"]),
    }  # fmt: skip
    return figures


def report(figures: dict, arguments: argparse.Namespace) -> None:
    """Say it to people."""
    for n, value in figures["images_per_second"].items():
        scaling = figures["scaling"].get(n)
        target = f" (asked: {TARGETS[n]})" if n in TARGETS else ""
        more = "" if scaling is None else f", {scaling:.2f} times one{target}, losses within {figures['losses_differ'][n]:.1e}"
        print(f"{n} processes, {arguments.batch} images each: {value:.1f} images/s{more}")
    if "ms" in figures:
        print(f"one process: {figures['ms']['throughput']:.2f} ms per update; the trainer adds {figures['trainer_adds']:.1%}")
        print(
            f"a checkpoint costs {figures['seconds_per_checkpoint'] * 1e3:.0f} ms: "
            f"{figures['lost_per_1000_updates']:.2%} of 1,000 updates with one checkpoint (asked: below 1 %)"
        )


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        file, rank = Path(sys.argv[2]), int(sys.argv[3])
        results = work(json.loads(file.read_text()), rank)
        if rank == 0:
            file.with_suffix(".results").write_text(json.dumps(results))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", help="numbers of processes; 1 to all GPUs in doublings by default")
    parser.add_argument("--arch", default="base")
    parser.add_argument("--tex_size", type=int, default=1024)
    parser.add_argument("--nlatent", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16, help="images for each process")
    parser.add_argument("--updates", type=int, default=400, help="measured updates")
    parser.add_argument("--warm_up", type=int, default=80, help="updates before measuring; a multiple of 20")
    parser.add_argument("--loss_updates", type=int, default=40)
    parser.add_argument("--save_every", type=int, default=100)
    parser.add_argument("--cache_gb", type=float, default=6.0)
    parser.add_argument("--n_worker", type=int, default=8)
    parser.add_argument("--data", type=Path, help="capture or packed store to train on")
    parser.add_argument("--device", default=None, help="cpu, or the GPUs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import torch

    most = 1 if arguments.device == "cpu" else max(torch.cuda.device_count(), 1)
    arguments.processes = arguments.processes or [n for n in (1, 2, 4, 8) if n <= most]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capture = arguments.data or folder / "capture"
        if arguments.data is None:
            write_capture(capture, arguments.tex_size)
        results = [result for n in arguments.processes for result in launch(arguments, n, folder, capture)]
    figures = summarise(results, arguments)
    report(figures, arguments)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
