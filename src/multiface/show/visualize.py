"""All that ``multiface visualize`` makes: videos, pictures, and one page with everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multiface.core.errors import CaptureError
from multiface.core.files import make_folder
from multiface.show.config import OF_A_CAPTURE, Kind, VisualizeConfig
from multiface.show.films import Film, Progress, require_encoder
from multiface.show.model_films import film_model
from multiface.show.page import EMBED_LIMIT, Page
from multiface.show.scene import Scene, open_scene
from multiface.show.segment_films import SegmentFilmer

EMBEDDED_VIDEOS = 3 * EMBED_LIMIT
"""Bytes of video that go into the page itself; further videos are linked."""

MOST_EXAMPLES = 6


@dataclass
class Shown:
    """What was made.

    Attributes:
        films: Videos (or their pictures) in the order in which they were made.
        page: The page, or None without one.
        notes: What the user should know.
    """

    films: list[Film]
    page: Path | None
    notes: list[str]


def visualize(config: VisualizeConfig, progress: Progress | None = None) -> Shown:
    """Make everything that ``config`` asks for.

    Raises:
        MultifaceError: options that do not fit, nothing to show, no codec, a folder that cannot be written to.
    """
    if config.videos:
        require_encoder()
    scene = open_scene(config)
    folder = make_folder(config.result_path)
    report = progress or (lambda what, done, total: None)
    films: list[Film] = []
    for kind in config.kinds:
        films += _of_capture(scene, kind, folder, report) if kind in OF_A_CAPTURE else [film_model(scene, kind, folder, report)]
    page = write_page(folder / "index.html", scene, films) if config.page else None
    return Shown(films, page, scene.notes)


def _of_capture(scene: Scene, kind: Kind, folder: Path, progress: Progress) -> list[Film]:
    filmer = SegmentFilmer(scene, kind, folder)
    films = [filmer.film(segment, camera, progress) for segment in scene.segments for camera in scene.cameras]
    for film in films:
        if not film.pictures:
            scene.note(f"nothing to show of {film.title} ({kind}): {_needed(kind)}")
    made = [film for film in films if film.pictures]
    if not made:
        raise CaptureError(
            "a video of no frames: nothing of the chosen segments and cameras can be shown",
            where=scene.capture.path,
            expected=_needed(kind),
            found=f"segments {', '.join(scene.segments)}; cameras {', '.join(scene.cameras)}",
            remedy="Choose others with --segments and --cameras; `multiface inspect` tells what is there",
        )
    return made


def _needed(kind: str) -> str:
    more = {"comparison": " and a photo", "uv": " and a texture"}.get(kind, "")
    return f"frames with average texture, mesh, head pose{more} of the camera"


def write_page(path: Path, scene: Scene, films: Sequence[Film]) -> Path:
    """One page with all videos, comparisons that slide, and how well each frame is met."""
    compared = [film for film in films if film.kind == "comparison"]
    facts = [(f"{sum(film.pictures for film in films):,}", "pictures shown")]
    psnr = [value for film in compared for value in film.psnr if np.isfinite(value)]
    if psnr:
        facts.insert(0, (f"{np.mean(psnr):.1f} dB", "PSNR inside the mask, mean over all frames"))
    hero = next((np.concatenate(film.example, axis=1) for film in compared if film.example), None)
    page = Page("A face model at work", _summary(scene), facts=facts, picture=hero)
    _examples(page, compared)
    _videos(page, films)
    _quality(page, compared)
    if scene.notes:
        page.section("Notes").text(*scene.notes)
    return page.write(path)


def _summary(scene: Scene) -> str:
    info = scene.model.info
    made = f"A {info.arch} model, textures of {info.tex_size} texels, {info.nlatent} latent numbers. "
    if scene.data is None:
        return made + "Shown without any capture, by cameras that were never there."
    return (
        f"{made}Shown on {scene.capture.name}: weights are fixed and the latent code is its mean, so every frame comes from "
        "the same model, in time order."
    )


def _examples(page: Page, films: Sequence[Film]) -> None:
    shown = [film for film in films if film.example is not None][:MOST_EXAMPLES]
    if not shown:
        return
    page.section(
        "Compare", "The middle frame of each segment. Slide to see the photo on the left, the prediction on the right."
    )
    for film in shown:
        if film.example is not None:
            page.compare(*film.example, ("photo", "model"), film.title, span="half")


def _videos(page: Page, films: Sequence[Film]) -> None:
    room = EMBEDDED_VIDEOS
    if any(film.path is not None for film in films):
        page.section("Videos")
    for film in films:
        if film.path is None:
            continue
        size = film.path.stat().st_size
        embed = size <= min(EMBED_LIMIT, room)
        room -= size if embed else 0
        span = "full" if film.kind in OF_A_CAPTURE else "half"
        page.video(film.path, f"{film.title}: {_CAPTIONS[film.kind]}", embed=embed, sound=film.sound, span=span)


_CAPTIONS = {
    "comparison": "photo, prediction, and their difference on a fixed scale",
    "uv": "captured and predicted texture, and their difference; grey where the camera saw nothing",
    "warp": "predicted texture, the warp field drawn on a grid, and how far texels move",
    "turntable": "the model alone, textured and as geometry",
    "path": "the model alone, textured and as geometry",
    "walk": "the model alone, from one latent code to the next",
}


def _quality(page: Page, films: Sequence[Film]) -> None:
    measured = [film for film in films if film.mean_psnr is not None]
    if not measured:
        return
    page.section(
        "Frame by frame", "PSNR against the photo inside the mask, linear camera values, before any display transform."
    )
    for segment in dict.fromkeys(film.segment for film in measured):
        here = [film for film in measured if film.segment == segment][:6]
        series = {f"camera {film.camera}": _finite_points(film.psnr) for film in here}
        if any(len(x) > 1 for x, _ in series.values()):
            page.curves(series, title=segment, x_label="frame", y_label="dB")
    rows = [[film.title, film.pictures, f"{film.mean_psnr:.2f}", f"{np.nanmin(film.psnr):.2f}"] for film in measured]
    page.table(["", "frames", "mean dB", "worst dB"], rows)


def _finite_points(values: Sequence[float]) -> tuple[list[int], list[float]]:
    points = [(number, value) for number, value in enumerate(values) if np.isfinite(value)]
    return [number for number, _ in points], [value for _, value in points]
