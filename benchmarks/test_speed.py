"""Speed and memory of ``multiface test``, frozen, on a packed capture: 10,260 frame-camera pairs at T = 1024 by default.

    python benchmarks/test_speed.py [--frames 270] [--cameras 38] [--tex_size 1024] [--arch base] [--device cuda] [--json]

The workload is made first, in a temporary folder: a head with the virtual stage's topology, pictures of noise on it that
compress as little as photos do, a network with random weights, and the store. Only ``--distinct`` frames are packed; the index
then lists each of them several times under other names, so that the disk holds a tenth of what is read and decoded. Measured
are the whole command, page and tables included, and its parts; and the measuring alone with a quarter of the frames and with
all of them, and the peak memory of both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from multiface.capture import (
    Camera,
    CaptureLayout,
    FrameKey,
    Statistics,
    write_frame_list,
    write_head_pose,
    write_image,
    write_krt,
    write_obj,
    write_statistics,
    write_vertices,
)
from multiface.data import Normalisation
from multiface.evaluate.run import open_test
from multiface.models import ModelInfo, build_model, save_model
from multiface.prepare.pack.run import pack_capture
from multiface.prepare.pack.settings import PackSettings
from multiface.prepare.stage.head import Head
from multiface.prepare.stage.identity import Identity
from multiface.train.config import TestConfig
from repeated_store import list_again

SEGMENT = "EXP_ROM07_Facial_Expressions"
PICTURES = 12
"""Different textures; every file is a link to one of them."""
ASKED_SECONDS = 15.0


def main() -> None:
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="test_speed_", dir=options.folder))
    try:
        print(f"making the workload in {folder}", flush=True)
        began = time.perf_counter()
        model = write_model(options, folder)
        store = write_store(options, folder, write_capture(options, folder))
        print(f"made in {time.perf_counter() - began:.1f} s", flush=True)
        result = measure(options, folder, store, model)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(options, result)
    if options.json:
        print(json.dumps(result))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=270)
    parser.add_argument("--cameras", type=int, default=38)
    parser.add_argument("--distinct", type=int, default=27, help="frames that are packed; the others repeat them")
    parser.add_argument("--tex_size", type=int, default=1024)
    parser.add_argument("--photo_size", type=int, nargs=2, default=None, help="height and width; no photos when absent")
    parser.add_argument("--arch", default="base")
    parser.add_argument("--codec", default="lz4")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary folder is made")
    parser.add_argument("--no-command", dest="command", action="store_false", help="leave out the run of the whole command")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def write_capture(options: argparse.Namespace, folder: Path) -> Path:
    """The distinct frames as a capture folder; pictures are hard links."""
    root = folder / "m--20260101--0000--0000001--GHS"
    layout, head = CaptureLayout(root, options.tex_size), Head(Identity())
    keys = [FrameKey(SEGMENT, f"{3 * number:06d}") for number in range(min(options.distinct, options.frames))]
    cameras = arc(options.cameras, tuple(options.photo_size or (2048, 1334)))
    random = np.random.default_rng(0)
    textures = pictures(folder / "textures", (options.tex_size, options.tex_size), random)
    photos = pictures(folder / "photos", tuple(options.photo_size), random) if options.photo_size else []
    write_krt(layout.krt, cameras)
    write_frame_list(layout.frame_list, keys)
    for number, key in enumerate(keys):
        vertices = head.neutral + random.normal(0, 1.0, head.neutral.shape)
        write_vertices(layout.vertices(key), vertices.astype(np.float32))
        write_head_pose(layout.head_pose(key), np.column_stack([np.diag([1.0, -1.0, -1.0]), [0, 0, 1000.0]]))
        link(textures[number % PICTURES], layout.average(key))
        for position, camera in enumerate(cameras):
            link(textures[(number + position) % PICTURES], layout.texture(key, camera.name))
            if photos:
                link(photos[(number + position) % PICTURES], layout.photo(key, camera.name))
    write_obj(layout.mesh(keys[0]), head.neutral.astype(np.float32), head.topology)
    mean = cv2.imread(str(textures[0]))
    write_statistics(layout, Statistics(mean, 400.0, head.neutral.astype(np.float32), 4.0))
    return root


def pictures(folder: Path, size: tuple[int, int], random: np.random.Generator) -> list[Path]:
    """Smooth colours with the noise of a sensor, a quarter of them unseen; about as large as PNG files of real captures."""
    paths = []
    for number in range(PICTURES):
        coarse = random.integers(40, 200, (12, 12, 3)).astype(np.float32)
        smooth = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
        picture = (smooth + random.normal(0, 1.2, smooth.shape)).clip(1, 255).astype(np.uint8)
        picture[:, : size[1] // 4] = 0
        paths.append(folder / f"{number}.png")
        write_image(paths[-1], picture)
    return paths


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)


def arc(count: int, size: tuple[int, int]) -> list[Camera]:
    """Cameras on a horizontal arc around a head at (0, 0, 1000)."""
    K = np.array([[3.0 * size[0], 0, size[1] / 2], [0, 3.0 * size[0], size[0] / 2], [0, 0, 1]])
    cameras = []
    for number, angle in enumerate(np.linspace(-1, 1, count)):
        R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        centre = np.array([0, 0, 1000.0]) - 1000.0 * R[2]
        cameras.append(Camera(f"{400002 + number:06d}", K, np.column_stack([R, -R @ centre]), size))
    return cameras


def write_store(options: argparse.Namespace, folder: Path, capture: Path) -> Path:
    """Pack the capture and list its frames again and again until there are enough."""
    store = folder / "store"
    codec = options.codec
    pack_capture(
        capture,
        store,
        PackSettings(photos=options.photo_size is not None, texture_codec=codec, average_codec=codec, photo_codec=codec),
    )
    list_again(store, [FrameKey(SEGMENT, f"{3 * number:06d}") for number in range(options.frames)])
    return store


def write_model(options: argparse.Namespace, folder: Path) -> Path:
    """A network with random weights, with everything that a checkpoint carries."""
    head, cameras = Head(Identity()), arc(options.cameras, (1, 1))
    sizes = {
        "tex_size": options.tex_size, "mesh_inp_size": 3 * len(head.neutral), "nlatent": 256, "n_cams": options.cameras,
    }  # fmt: skip
    mean = np.full((options.tex_size, options.tex_size, 3), 100, np.uint8)
    statistics = Normalisation(Statistics(mean, 400.0, head.neutral.astype(np.float32), 4.0), options.tex_size).state()
    info = ModelInfo(options.arch, **sizes, camera_names=tuple(c.name for c in cameras), statistics=statistics)
    save_model(folder / "model.safetensors", build_model(options.arch, **sizes), info)
    return folder / "model.safetensors"


def measure(options: argparse.Namespace, folder: Path, store: Path, model: Path) -> dict[str, float]:
    words = [str(store), "--model_path", str(model), "--report", "frozen", "--val_batch_size", str(options.batch)]
    words += ["--n_worker", str(min(12, os.cpu_count() or 1)), "--device", options.device]
    result: dict[str, float] = {"pairs": options.frames * options.cameras}
    few = folder / "few.txt"
    few.write_text("\n".join((store / "frame_list.txt").read_text().splitlines()[: max(options.frames // 4, 1)]))
    for name, extra in (("quarter", ["--framelist_test", str(few)]), ("all", [])):
        command = [sys.executable, __file__, "--measure", *words, *extra, "--result_path", str(folder / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        result |= {f"{name} {key}": value for key, value in json.loads(done.stdout.splitlines()[-1]).items()}
    if options.command:
        result |= measure_command([*words, "--result_path", str(folder / "command")], folder / "errors.txt")
    return result


def measure_command(words: list[str], errors: Path) -> dict[str, float]:
    """Seconds of the whole command and of its parts; it tells most of them itself, in the last line that it prints."""
    command = [sys.executable, "-m", "multiface", "test", *words, "--json"]
    began = time.perf_counter()
    with errors.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        told = time.perf_counter()
        process.wait()
    whole = time.perf_counter() - began
    if process.returncode or not line:
        raise SystemExit(errors.read_text()[-3000:])
    parts = json.loads(line)["seconds"]
    start = told - began - sum(parts.values())
    named = {"start and options": start, **parts, "end": began + whole - told}
    return {"whole command s": whole, **{f"of it {name} s": seconds for name, seconds in named.items()}}


def measure_alone(words: list[str]) -> None:
    """In a process of its own: open, measure, and say how long that took and how much memory."""
    from multiface.cli.options import parse

    config = parse(TestConfig, words, command="test", description="", first="data_dir")
    began = time.perf_counter()
    run = open_test(config)
    opened = time.perf_counter()
    results = run.measure()
    seconds = time.perf_counter() - opened
    frozen = results["frozen"]
    assert frozen is not None
    found = {
        "samples": frozen.samples,
        "opening s": opened - began,
        "measuring s": seconds,
        "host peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    if run.device.type == "cuda":
        found["GPU peak GB"] = torch.cuda.max_memory_allocated() / 1e9
    print(json.dumps(found))


def show(options: argparse.Namespace, result: dict[str, float]) -> None:
    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else f"CPU, {os.cpu_count()} cores"
    print(f"{device}, PyTorch {torch.__version__}, {options.arch}, T = {options.tex_size}, {options.codec}")
    print("| figure | measured |\n|---|---|")
    for name, value in result.items():
        print(f"| {name} | {value:,.2f} |")
    rate = result["all samples"] / result["all measuring s"]
    print(f"| pairs/s while measuring | {rate:,.0f} |")
    print(f"| 10,000 pairs at that rate, s (asked: below {ASKED_SECONDS:g}) | {10_000 / rate:.1f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure_alone(sys.argv[2:])
    else:
        main()
