"""The page and the video of a trained and tested model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multiface.capture import AVERAGE, Capture, FrameKey
from multiface.data import Sample
from multiface.evaluate.measurement import Measurement
from multiface.evaluate.report import MEANING, table_rows
from multiface.evaluate.run import TestRun
from multiface.show.display import to_display
from multiface.show.page import Page
from multiface.show.panels import Comparison, contact_sheet, fit_width, texture_panel
from multiface.show.video import VideoWriter
from multiface.show.views import View, predicted_views, samples_of
from multiface.train.log import read_log

CURVES = {"tex": "texture", "verts": "mesh", "screen": "screen", "kl": "KL divergence"}


@dataclass(frozen=True)
class RunReport:
    """What a page tells about.

    Attributes:
        run: The opened test: model, capture, test samples.
        results: Measurements by protocol.
        log: ``losses.jsonl`` of the training, or None when there was none.
        facts: More key figures for the top, (value, what it is).
        commands: How to go on: (what it does, command).
    """

    run: TestRun
    results: Mapping[str, Measurement | None]
    log: Path | None = None
    facts: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()


def write_video(path: Path, run: TestRun, samples: Sequence[Sample], *, fps: float = 10, hold: int = 1) -> int:
    """Write ground truth | prediction | difference of ``samples`` in order as MP4; returns the number of frames.

    Args:
        path: Target, ``.mp4``.
        run: Model and capture; the capture needs photos.
        samples: Views in the order of the video.
        fps: Frames per second.
        hold: How many video frames each view stays.
    """
    size = _picture_size(run)
    layout = Comparison(size)
    with VideoWriter(path, fps=fps) as video:
        for view in predicted_views(run.step, run.data.capture, samples, size, run.device):
            sheet = layout.frame(view.truth, view.prediction, mask=view.covered, heading=_heading(view))
            for _ in range(hold):
                video.add(sheet)
        return video.frames


def write_page(path: Path, report: RunReport, *, title: str, summary: str, video: Path | None = None) -> Path:
    """Write the self-contained page."""
    capture, index = report.run.data.capture, report.run.loader.index
    views = _example_views(report.run)
    page = Page(title, summary, facts=[*_facts(report.results), *report.facts], picture=_hero(views))
    if video is not None:
        page.section("Held-out expressions", "Segments the model never saw in training, with fixed weights, in time order.")
        page.video(video, "Photo, prediction and their difference on a fixed scale")
    elif views:
        page.section("Held-out expressions", "Segments the model never saw in training, with fixed weights.")
    for view in views[:2]:
        page.compare(
            to_display(view.truth),
            to_display(np.where(view.covered[..., None], view.prediction, 0)),
            ("photo", "model"),
            _heading(view),
            span="half",
        )
    _results(page, report)
    _textures(page, views)
    if report.log is not None:
        _curves(page, report.log)
    _capture(page, capture, index.samples[0].key, views[0].key if views else index.samples[-1].key)
    if report.commands:
        page.section("How to go on").commands(list(report.commands))
    return page.write(path)


def _results(page: Page, report: RunReport) -> None:
    header, rows = table_rows(report.results)
    samples = next((result.samples for result in report.results.values() if result is not None), 0)
    page.section("Results", f"Means over {samples} held-out samples (a frame seen by one camera), each counting once.")
    page.table(header, rows, notes={name: MEANING[name] for name in header if name in MEANING})


def _textures(page: Page, views: Sequence[View]) -> None:
    if not views:
        return
    view = views[-1]
    page.section("View-dependent texture", "What the decoder paints for one camera; grey where that camera saw nothing.")
    page.figure(texture_panel(view.target_texture, view.texture, mask=view.seen), _heading(view))


def _curves(page: Page, log: Path) -> None:
    lines = list(read_log(log))
    page.section("Training", "Normalised losses against updates; validation is on the held-out segments, nothing fitted.")
    for key, label in CURVES.items():
        series = {}
        for kind, name in (("train", "training"), ("val", "validation")):
            points = [(line["iteration"], line[key]) for line in lines if line["kind"] == kind and line.get(key, 0) > 0]
            if points:
                series[name] = tuple(zip(*points))
        if series:
            page.curves(series, title=label, log=True)


def _capture(page: Page, capture: Capture, first: FrameKey, key: FrameKey) -> None:
    cameras = [name for name in capture.cameras if capture.has_photo(key, name)]
    page.section(
        "The capture",
        f"{len(capture.frames)} frames in {len(capture.segments)} segments, {len(capture.cameras)} cameras.",
    )
    if cameras:
        photos = [to_display(capture.photo(key, name)) for name in cameras[:12]]
        page.figure(contact_sheet(photos, list(cameras[:12]), columns=4), f"{key}, as the cameras saw it")
    textures = [(AVERAGE, "average over the cameras")] + [(name, f"seen by {name}") for name in cameras[:2]]
    pictures = [
        (fit_width(to_display(capture.texture(key, name)), 512), label)
        for name, label in textures
        if capture.has_texture(key, name)
    ]
    page.gallery(pictures)


def _facts(results: Mapping[str, Measurement | None]) -> list[tuple[str, str]]:
    frozen = results.get("frozen")
    if frozen is None:
        return []
    facts = [(f"{frozen.values['mesh_mm']:.2f} mm", "mesh error on unseen frames")]
    if "psnr" in frozen.values:
        facts.insert(0, (f"{frozen.values['psnr']:.1f} dB", "PSNR against the photos, unseen frames"))
    return facts


def _example_views(run: TestRun) -> list[View]:
    """A few test views: cameras and moments spread over the test set; none without photos."""
    if run.data.picture_size is None:
        return []
    cameras = list(dict.fromkeys(sample.camera for sample in run.loader.index.samples))
    middle = cameras[len(cameras) // 2]
    picked = []
    for number, camera in enumerate((middle, cameras[0], cameras[-1])):
        samples = samples_of(run.loader.index, cameras=[camera])
        picked.append(samples[(2 * number + 1) * len(samples) // 6])
    return list(predicted_views(run.step, run.data.capture, picked, run.data.picture_size, run.device))


def _hero(views: Sequence[View]) -> np.ndarray | None:
    if not views:
        return None
    view = views[0]
    halves = [to_display(view.truth), to_display(np.where(view.covered[..., None], view.prediction, 0))]
    return np.concatenate(halves, axis=1)


def _picture_size(run: TestRun) -> tuple[int, int]:
    from multiface.core.errors import CaptureError

    if run.data.picture_size is None:
        raise CaptureError(
            "a video needs photos to compare with", where=run.data.capture.path, remedy="Add the images folder of the capture"
        )
    return run.data.picture_size


def _heading(view: View) -> str:
    return f"{view.key.segment}  {view.key.frame}  camera {view.camera}"
