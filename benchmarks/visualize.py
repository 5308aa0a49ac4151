"""How fast ``multiface visualize`` is, stage by stage and end to end, and that its memory does not grow with the frames.

    python benchmarks/visualize.py [--real DIR] [--photo 2048 1334] [--tex_size 1024] [--frames 120] [--device cuda] [--json]

A few frames of the virtual stage are filmed at full size, or the real frame in DIR is taken, and repeated, there and back, with
sensor noise of their own (noise is what an encoder of real photos has to work on). Weights are random, but the last layer of
the texture is made small, so that pictures look like the mean texture. Each length runs in a process of its own, so that its
memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiface.capture import Capture

COLUMNS = {"frames": 0, "fps": 1, "CPU s": 3, "host MiB": 0, "device MiB": 0, "file MB": 1}
SEGMENT = "EXP_ROM07_Facial_Expressions"


def make_capture(root: Path, options: argparse.Namespace) -> Path:
    """The capture: a few frames, repeated under new numbers until there are enough for the longest run."""
    import numpy as np

    from multiface.capture import AVERAGE, CaptureLayout, FrameKey, write_frame_list, write_image

    source = source_of(root / "source", options)
    (camera,) = source.cameras
    there = source.frames
    there_and_back = [*there, *there[-2:0:-1]]
    layout = CaptureLayout(source.path, options.tex_size)
    random, keys = np.random.default_rng(0), []
    photos = {key: source.photo(key, camera) for key in there}
    for number in range(2 * options.frames):
        old, new = there_and_back[number % len(there_and_back)], FrameKey(SEGMENT, f"{500_000 + 3 * number:06d}")
        keys.append(new)
        for path in (layout.vertices, layout.head_pose, layout.average):
            link(path(old), path(new))
        link(layout.texture(old, camera), layout.texture(new, camera))
        if number < options.noisy:
            noise = random.normal(0, options.noise, photos[old].shape)
            write_image(layout.photo(new, camera), np.clip(photos[old] + noise, 0, 255).astype(np.uint8), compression=1)
        else:
            link(layout.photo(keys[number % options.noisy], camera), layout.photo(new, camera))
    write_frame_list(layout.frame_list, keys)
    assert source.has_texture(there[0], AVERAGE)
    return source.path


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve())


def source_of(root: Path, options: argparse.Namespace) -> Capture:
    """A capture of one camera: the real frame, or a few frames of the stage."""
    from multiface.capture import AVERAGE, Capture, Statistics, write_statistics
    from multiface.prepare.stage import StageConfig, write_capture

    if options.real is not None:
        from loader_capture import real_frame_capture

        source = real_frame_capture(options.real, root)
        key = source.frames[0]
        write_statistics(source.layout, Statistics(source.texture(key, AVERAGE), 400.0, source.vertices(key), 9.0))
        return Capture(root)
    config = StageConfig(
        segments=1,
        frames_per_segment=options.filmed,
        n_cameras=1,
        image_size=tuple(options.photo),
        tex_size=options.tex_size,
    )
    write_capture(config, root)
    return Capture(root)


def make_model(capture_folder: Path, path: Path, arch: str, texture_size: int) -> Path:
    """An untrained model whose pictures are the mean texture on the mean mesh."""
    import torch

    from multiface.capture import Capture
    from multiface.data import Normalisation
    from multiface.models import ModelInfo, build_model, save_model

    capture = Capture(capture_folder)
    sizes = {"tex_size": texture_size, "mesh_inp_size": 3 * capture.n_vertices, "nlatent": 256, "n_cams": 1}
    torch.manual_seed(0)
    model = build_model(arch, **sizes)
    with torch.no_grad():
        for name, parameter in model.dec.named_parameters():
            if name.endswith("g") and tuple(parameter.shape) in {(3,), (3 * capture.n_vertices,)}:
                parameter.mul_(0.05)
    info = ModelInfo(
        arch=arch,
        **sizes,
        camera_names=tuple(capture.cameras),
        statistics=Normalisation(capture.statistics, texture_size).state(),
        topology=capture.topology,
    )
    save_model(path, model, info)
    return path


def scene_of(capture: Path, model: Path, out: Path, frames: int, options: argparse.Namespace):
    """The opened scene, with the first ``frames`` frames."""
    from multiface.show.config import VisualizeConfig
    from multiface.show.scene import open_scene

    config = VisualizeConfig(
        data_dir=capture,
        model_path=model,
        result_path=out,
        device=options.device,
        val_batch_size=options.batch,
        n_worker=options.workers,
        preset=options.preset,
    )
    scene = open_scene(config)
    scene.segments = {name: keys[:frames] for name, keys in scene.segments.items()}
    scene.cameras = scene.cameras[:1]
    return scene


def end_to_end(capture: Path, model: Path, frames: int, options: argparse.Namespace) -> dict[str, float]:
    """One run over ``frames`` frames: frames per second after a warm-up, and the peaks of memory."""
    import torch

    from multiface.show.segment_films import SegmentFilmer

    with tempfile.TemporaryDirectory() as folder:
        scene = scene_of(capture, model, Path(folder), frames, options)
        filmer = SegmentFilmer(scene, "comparison", Path(folder))
        whole = scene.segments[SEGMENT]
        scene.segments[SEGMENT] = whole[: 2 * options.batch]  # kernels are compiled and pages mapped here
        filmer.film(SEGMENT, scene.cameras[0], lambda *_: None)
        scene.segments[SEGMENT] = whole
        began, worked = time.perf_counter(), time.process_time()
        film = filmer.film(SEGMENT, scene.cameras[0], lambda *_: None)
        seconds, work = time.perf_counter() - began, time.process_time() - worked
        assert film.path is not None
        size = film.path.stat().st_size
    device = torch.cuda.max_memory_allocated() / 2**20 if scene.device.type == "cuda" else float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "frames": film.frames,
        "fps": film.frames / seconds,
        "CPU s": work / film.frames,
        "host MiB": peak,
        "device MiB": device,
        "file MB": size / 1e6,
    }


def stages(capture: Path, model: Path, options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Milliseconds a frame of each stage by itself, on the clock and of all cores, medians over batches."""
    import torch

    from multiface.data import BatchLoader, SampleIndex
    from multiface.show.segment_films import SegmentFilmer
    from multiface.show.video import VideoWriter

    with tempfile.TemporaryDirectory() as folder:
        scene = scene_of(capture, model, Path(folder), options.frames, options)
        filmer = SegmentFilmer(scene, "comparison", Path(folder))
        samples = scene.samples(SEGMENT, scene.cameras[0], photo=True, texture=False)
        assert scene.data is not None
        loader = BatchLoader(
            scene.capture, SampleIndex(tuple(samples), ()), options.batch, photo_size=scene.data.picture_size,
            need_texture=False, workers=options.workers, cache_bytes=0,
        )  # fmt: skip
        began, worked = time.perf_counter(), time.process_time()
        batches = [batch for number, batch in enumerate(loader) if number < 6]
        per_frame = 1000 / len(samples)
        result = {
            "read and decode, all workers": (
                per_frame * (time.perf_counter() - began),
                per_frame * (time.process_time() - worked),
            )
        }

        def timed(work, repeats: int = 5) -> tuple[float, float]:
            times = []
            for number in range(repeats + 1):
                if scene.device.type == "cuda":
                    torch.cuda.synchronize()
                start = time.perf_counter(), time.process_time()
                work(number)
                if scene.device.type == "cuda":
                    torch.cuda.synchronize()
                times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
            return tuple(1000 * statistics.median(column) / options.batch for column in zip(*times[1:]))

        on_device = [batch.to(scene.device) for batch in batches if len(batch) == options.batch]
        result["to the device"] = timed(lambda i: batches[i % len(on_device)].to(scene.device))
        with torch.no_grad():
            predict = filmer.step.predict
            result["model"] = timed(lambda i: predict(on_device[i % len(on_device)], sample=False, render=False))
            both = timed(lambda i: predict(on_device[i % len(on_device)], sample=False, render=True))
            result["renderer"] = (both[0] - result["model"][0], both[1] - result["model"][1])
            predictions = [predict(batch, sample=False, render=True) for batch in on_device[:2]]
        panels = filmer._panels

        def compose(i: int) -> list:
            shown = panels.pictures(predictions[i % len(predictions)], on_device[i % len(predictions)])
            return [panels.row.sheet([p[n] for p in shown], f"frame {i} {n}") for n in range(options.batch)]

        result["colours, difference, sheet, copy to the host"] = timed(compose)
        sheets = [sheet for i in range(2) for sheet in compose(i)]
        with VideoWriter(Path(folder) / "a.mp4", preset=options.preset) as writer:
            began, worked = time.perf_counter(), time.process_time()
            for number in range(4 * len(sheets)):
                writer.add(sheets[number % len(sheets)])
        per_frame = 1000 / (4 * len(sheets))
        result["encode (H.264), alone"] = (
            per_frame * (time.perf_counter() - began),
            per_frame * (time.process_time() - worked),
        )
        print(f"sheet {sheets[0].shape}, batches of {options.batch}", file=sys.stderr)
    return result


def in_new_process(words: list[str]) -> dict:
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, help="folder of one real frame instead of filming")
    parser.add_argument("--photo", type=int, nargs=2, default=(2048, 1334), help="height and width of the photos")
    parser.add_argument("--tex_size", type=int, default=1024)
    parser.add_argument("--arch", default="base")
    parser.add_argument("--frames", type=int, default=120, help="frames of the shorter run; the longer one has twice as many")
    parser.add_argument("--filmed", type=int, default=4, help="different frames of the stage")
    parser.add_argument("--noisy", type=int, default=48, help="photos with noise of their own before they repeat")
    parser.add_argument("--noise", type=float, default=1.5, help="sensor noise, standard deviation of 255")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--preset", default="veryfast")
    parser.add_argument("--device", default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", nargs=3, metavar=("CAPTURE", "MODEL", "FRAMES"), help=argparse.SUPPRESS)
    parser.add_argument("--stages", nargs=2, metavar=("CAPTURE", "MODEL"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    if options.run:
        capture, model, frames = options.run
        print(json.dumps(end_to_end(Path(capture), Path(model), int(frames), options)))
        return
    if options.stages:
        print(json.dumps(stages(Path(options.stages[0]), Path(options.stages[1]), options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        capture = make_capture(Path(folder), options)
        model = make_model(capture, Path(folder) / "model.safetensors", options.arch, options.tex_size)
        kept = [
            word for name in ("batch", "workers", "preset", "frames") for word in (f"--{name}", str(getattr(options, name)))
        ]
        kept += ["--device", options.device] if options.device else []
        by_stage = in_new_process([*kept, "--stages", str(capture), str(model)])
        runs = [
            in_new_process([*kept, "--run", str(capture), str(model), str(n)]) for n in (options.frames, 2 * options.frames)
        ]
    print("| stage | ms a frame | CPU ms a frame |\n|---|---|---|")
    for name, (wall, work) in by_stage.items():
        print(f"| {name} | {wall:.2f} | {work:.2f} |")
    print("\n| frames | frames/s end to end | CPU s a frame | host MiB | device MiB | file MB |\n|---|---|---|---|---|---|")
    for run in runs:
        cells = (f"{run[key]:.{digits}f}" for key, digits in COLUMNS.items())
        print(f"| {' | '.join(cells)} |")
    part = (by_stage["model"][0] + by_stage["renderer"][0]) / (1000 / runs[-1]["fps"])
    print(f"\nmodel and renderer by themselves: {100 * part:.1f} % of the time of a frame end to end")
    if options.json:
        print(json.dumps({"stages": by_stage, "runs": runs, "part of model and renderer": part}))


if __name__ == "__main__":
    main()
