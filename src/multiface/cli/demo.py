"""``multiface demo``: the main job from nothing to a page, on any CPU in minutes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.core.errors import ArgumentError
from multiface.core.files import make_folder, write_text
from multiface.train.config import TestConfig, TrainConfig

if TYPE_CHECKING:
    from rich.console import Console

    from multiface.evaluate.run import TestRun

DESCRIPTION = (
    "Film a procedural head on the virtual stage, train a model on it, test it on segments it never saw, and show everything "
    "on one page with a video."
)
MARKER = ".multiface-demo.json"
PARTS = ("capture", "run", "test")


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What to show, and how large. The defaults take about five minutes on two cores."""

    out: Path = Path("demo")
    """Folder for everything; an earlier demo in it is replaced."""
    seed: int = 0
    """Another seed is another person."""
    arch: str = "base"
    """Network architecture."""
    segments: int = 8
    """Segments to film; one of them is held out for the test."""
    frames_per_segment: int = 12
    """Frames of each segment."""
    n_cameras: int = 8
    """Cameras on the arc."""
    image_size: tuple[int, int] = (320, 208)
    """Height and width of the photos."""
    tex_size: int = 256
    """Texture size."""
    max_iter: int = 900
    """Updates of the training."""
    json: bool = False
    """Print the result as one JSON object on the last line of stdout."""


def main(argv: list[str]) -> int:
    options = parse(DemoOptions, argv, command="demo", description=DESCRIPTION)
    prepare_folder(options)
    out = console()
    began = time.monotonic()
    with _stage(out, 1, "filming a head on the virtual stage"):
        capture = _film(options, out)
    with _stage(out, 2, "training a deep appearance model"):
        checkpoint, rate = _train(options, out, capture)
    with _stage(out, 3, "testing it on expressions it never saw"):
        run, results = _test(options, out, capture, checkpoint)
    with _stage(out, 4, "making the video and the page"):
        video, page = _show(options, run, results, rate, time.monotonic() - began)
    seconds = time.monotonic() - began
    out.print(f"\n[bold]done in {seconds:.0f} s[/bold]", soft_wrap=True)
    for label, path in (("page ", page), ("video", video), ("model", checkpoint), ("data ", capture)):
        out.print(f"  {label}  {path.resolve()}", soft_wrap=True)
    if options.json:
        from multiface.evaluate.report import to_json

        paths = {"page": str(page), "video": str(video), "checkpoint": str(checkpoint), "capture": str(capture)}
        emit_json({**paths, "seconds": seconds, "results": to_json(results)})
    return 0


def prepare_folder(options: DemoOptions) -> None:
    """Make the output folder; what an earlier demo left there is removed, anything else is refused.

    Raises:
        ArgumentError: the folder holds something that no demo made.
    """
    out = options.out
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARKER).is_file():
            raise ArgumentError(
                "the output folder is not empty and was not made by a demo", where=out, remedy="Choose another one with --out"
            )
        for name in PARTS:
            shutil.rmtree(out / name, ignore_errors=True)
    make_folder(out)
    shown = {name: list(v) if isinstance(v, tuple) else str(v) for name, v in vars(options).items()}
    write_text(out / MARKER, json.dumps(shown, indent=2) + "\n")


@contextmanager
def _stage(out: Console, number: int, what: str) -> Iterator[None]:
    began = time.monotonic()
    out.print(f"\n[bold]{number}/4  {what}[/bold]")
    yield
    out.print(f"     {time.monotonic() - began:.0f} s")


def _film(options: DemoOptions, out: Console) -> Path:
    from multiface.cli.synth import film
    from multiface.prepare.stage import StageConfig

    target = options.out / "capture"
    config = StageConfig(
        segments=options.segments,
        frames_per_segment=options.frames_per_segment,
        n_cameras=options.n_cameras,
        image_size=options.image_size,
        tex_size=options.tex_size,
        seed=options.seed,
    )
    film(config, target, out)
    return target


def _train(options: DemoOptions, out: Console, capture: Path) -> tuple[Path, float]:
    from multiface.cli.training_display import TrainingDisplay, run_training

    config = TrainConfig(
        data_dir=capture,
        result_path=options.out / "run",
        arch=options.arch,  # type: ignore[arg-type]
        nlatent=64,
        lr=1e-3,
        train_batch_size=8,
        views_per_frame=4,
        lambda_screen=1.0,
        max_iter=options.max_iter,
        epochs=1_000_000,
        log_every=max(1, options.max_iter // 4),
        val_every=max(1, options.max_iter // 6),
        val_num=20,
        compile=False,  # takes longer than so few updates do without
        seed=options.seed,
    )
    with TrainingDisplay(out) as display:
        trainer, result = run_training(config, display)
    display.summary(trainer, result)
    if result.interrupted:
        raise KeyboardInterrupt
    return trainer.folder.model, result.images_per_second


def _test(options: DemoOptions, out: Console, capture: Path, checkpoint: Path):
    from multiface.cli.test import print_table, write_results
    from multiface.evaluate.run import open_test

    config = TestConfig(data_dir=capture, model_path=checkpoint, result_path=options.out / "test", lambda_screen=1.0, val_num=4)
    run = open_test(config)
    with out.status("testing") as status:
        results = run.measure(progress=lambda what: status.update(f"testing: {what}"))
    print_table(out, results, run)
    write_results(config, results, run)
    return run, results


def _show(options: DemoOptions, run: TestRun, results, rate: float, seconds: float) -> tuple[Path, Path]:
    from multiface.show.run_report import RunReport, write_page, write_video
    from multiface.show.views import samples_of

    cameras = list(dict.fromkeys(sample.camera for sample in run.loader.index.samples))
    chosen = [cameras[len(cameras) // 2], cameras[0]]
    video = options.out / "test_segment.mp4"
    write_video(video, run, samples_of(run.loader.index, cameras=chosen), fps=12, hold=2)
    capture, checkpoint = options.out / "capture", options.out / "run" / "model.safetensors"
    report = RunReport(
        run=run,
        results=results,
        log=options.out / "run" / "losses.jsonl",
        facts=[(f"{rate:.0f} images/s", "training on this machine"), (f"{seconds:.0f} s", "from nothing to here")],
        commands=[
            ("Look into the capture", f"multiface inspect {capture}"),
            ("Train longer", f"multiface train --resume {options.out / 'run'} --max_iter {4 * options.max_iter}"),
            ("Test again", f"multiface test {capture} --model_path {checkpoint} --lambda_screen 1"),
            ("Another person, more cameras", "multiface synth other --seed 7 --n_cameras 12"),
            ("Textures for photos and meshes of your own", "multiface unwrap CAPTURE --tex_size 1024"),
        ],
    )
    summary = (
        f"A {options.arch} deep appearance model, trained for {options.max_iter} updates on a procedural head filmed by "
        f"{options.n_cameras} virtual cameras. It turns a mesh, an average texture and a view direction into geometry and "
        "view-dependent texture."
    )
    page = options.out / "report.html"
    return video, write_page(page, report, title="From a capture to a face model", summary=summary, video=video)
