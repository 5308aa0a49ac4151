"""``multiface show``: one frame of a capture, every camera, and whether the calibration is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiface.capture import AVERAGE, Capture, FrameKey, write_image
from multiface.core.errors import ArgumentError, CaptureError
from multiface.core.files import make_folder
from multiface.show.alignment import GOOD_MM, USABLE_MM, Alignment, measure_alignment
from multiface.show.choices import check_cameras, choose_frame
from multiface.show.config import ShowConfig
from multiface.show.display import to_display
from multiface.show.overlay import draw_normals, draw_wireframe, render_texture, view_mesh
from multiface.show.page import Page
from multiface.show.panels import contact_sheet, fit_width
from multiface.show.rig import draw_rig
from multiface.show.text import counted

Progress = Callable[[str, int, int], None]

CELL = 320
"""Width of a picture in a contact sheet, pixels."""

MOST_IN_FULL = 8
"""Cameras that the page shows one by one; the others are in the table, the contact sheets and the PNG files."""


@dataclass
class CameraView:
    """One camera of the frame: pictures in display colours, scaled for the page, and the numbers."""

    name: str
    photo: np.ndarray
    wireframe: np.ndarray
    normals: np.ndarray
    rendering: np.ndarray | None
    alignment: Alignment


@dataclass
class FrameReport:
    """What was found and written.

    Attributes:
        key: The frame.
        cameras: Numbers per camera.
        page: The page.
        files: Pictures beside it.
        notes: What is missing.
    """

    key: FrameKey
    cameras: dict[str, Alignment]
    page: Path
    files: list[Path]
    notes: list[str]

    @property
    def error_mm(self) -> float:
        """Median over the cameras, mm on the face; NaN where it could not be measured."""
        values = [a.error_mm for a in self.cameras.values() if np.isfinite(a.error_mm)]
        return float(np.median(values)) if values else float("nan")

    @property
    def verdict(self) -> str:
        """Of the capture: that of its worst camera."""
        found = {alignment.verdict for alignment in self.cameras.values()}
        return next(word for word in ("wrong", "usable", "good", "unknown") if word in found)

    @property
    def misfits(self) -> list[str]:
        """Cameras whose photos do not fit."""
        return [name for name, alignment in self.cameras.items() if alignment.verdict == "wrong"]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "frame": str(self.key),
            "error_mm": self.error_mm,
            "verdict": self.verdict,
            "misfits": self.misfits,
            "cameras": {name: alignment.to_json() for name, alignment in self.cameras.items()},
            "page": str(self.page),
            "files": [str(path) for path in self.files],
            "notes": self.notes,
        }


def show_frame(config: ShowConfig, progress: Progress | None = None) -> FrameReport:
    """Draw and measure one frame and write page and pictures.

    Raises:
        MultifaceError: no such capture, frame or camera; no photo, mesh or pose; a folder that cannot be written to.
    """
    if config.capture is None:
        raise ArgumentError("no capture was given", remedy="Name its folder as the first word")
    capture = Capture(config.capture, krt=config.krt)
    key = choose_frame(capture, config.frame)
    names = _cameras(capture, key, config.cameras)
    folder = make_folder(config.out)
    report = progress or (lambda what, done, total: None)
    average = capture.texture(key, AVERAGE) if capture.has_texture(key, AVERAGE) else None
    notes = (
        []
        if average is not None
        else [
            "there is no average texture of this frame, so only the silhouette can be measured; make it with: "
            f"multiface unwrap {capture.path}"
        ]
    )
    files: list[Path] = []
    views = []
    in_full = set(_spread(names))
    for number, name in enumerate(names):
        width = config.width if name in in_full else min(config.width, CELL)
        views.append(_view(capture, key, name, average, folder, files, width))
        report(f"camera {name}", number + 1, len(names))
    rig = _save(
        draw_rig(capture.cameras, capture.vertices(key), capture.head_pose(key), chosen=names), folder / "rig.png", files
    )
    page = _page(capture, key, views, rig, notes, config.width)
    sheets = _sheets(key, views)
    for title, picture in sheets.items():
        _save(picture, folder / f"{title}.png", files)
    _overview(page, sheets)
    _textures(page, capture, key, names, average, folder, files)
    path = page.write(folder / "index.html")
    return FrameReport(key, {view.name: view.alignment for view in views}, path, files, notes)


def _cameras(capture: Capture, key: FrameKey, wanted: Sequence[str]) -> tuple[str, ...]:
    check_cameras(capture, wanted)
    for what, is_there in (("mesh", capture.has_mesh(key)), ("head pose", capture.has_head_pose(key))):
        if not is_there:
            raise CaptureError(f"frame {key} has no {what}", where=capture.path, remedy="Choose another frame with --frame")
    names = tuple(name for name in (dict.fromkeys(wanted) or capture.calibrated) if capture.has_photo(key, name))
    if not names:
        raise CaptureError(
            f"frame {key} has no photo" + (f" of {', '.join(wanted)}" if wanted else " of any camera"),
            where=capture.path,
            remedy="`multiface inspect` tells which frames have photos",
        )
    return names


def _spread(names: Sequence[str]) -> list[str]:
    """All names, or some evenly spread over them."""
    if len(names) <= MOST_IN_FULL:
        return list(names)
    return [names[i * len(names) // MOST_IN_FULL] for i in range(MOST_IN_FULL)]


def _view(
    capture: Capture, key: FrameKey, name: str, average: np.ndarray | None, folder: Path, files: list[Path], width: int
) -> CameraView:
    photo = capture.photo(key, name)
    size = (photo.shape[0], photo.shape[1])
    topology = capture.topology
    view = view_mesh(capture.vertices(key), capture.projection(key, name, size), topology, size)
    rendering = None if average is None else render_texture(view, topology, average)
    shown = to_display(photo)
    pictures = {"wireframe": draw_wireframe(shown, view, topology), "normals": draw_normals(shown, view)}
    if rendering is not None:
        pictures["rendering"] = to_display(rendering)
    for title, picture in pictures.items():
        _save(picture, folder / f"{title}_{name}.png", files)
    wide = min(width, pictures["wireframe"].shape[1])  # all as wide as the wireframe, which may be enlarged
    small = {title: fit_width(picture, wide, enlarge=True) for title, picture in pictures.items()}
    return CameraView(
        name,
        fit_width(shown, wide, enlarge=True),
        small["wireframe"],
        small["normals"],
        small.get("rendering"),
        measure_alignment(photo, rendering, view),
    )


def _page(
    capture: Capture, key: FrameKey, views: Sequence[CameraView], rig: np.ndarray, notes: Sequence[str], width: int
) -> Page:
    report = FrameReport(key, {view.name: view.alignment for view in views}, Path(), [], [])
    best = views[len(views) // 2]
    page = Page(
        f"Frame {key.frame}, {counted(len(views), 'camera')}",
        f"{key.segment} of {capture.name}: the photos, the tracked mesh drawn on them, and how well they fit.",
        facts=_facts(report),
        picture=best.wireframe,
    )
    page.section("Is the calibration right?", _LEAD)
    page.table(HEADER, [[view.name, *cells(view.alignment)] for view in views], notes=_NOTES)
    if notes:
        page.text(*notes)
    chosen = [view for view in views if view.name in _spread([view.name for view in views])]
    page.section("Mesh on photo", "Slide between the photo and the mesh; its lines should sit on eyelids, lips, nostrils, jaw.")
    for view in chosen:
        page.compare(view.photo, view.wireframe, ("photo", "mesh"), f"camera {view.name}", span="half", max_width=width)
    if any(view.rendering is not None for view in chosen):
        page.section("Average texture through the calibration", "The nearer the right side is to the left one, the better.")
        for view in chosen:
            if view.rendering is not None:
                page.compare(
                    view.photo, view.rendering, ("photo", "rendering"), f"camera {view.name}", span="half", max_width=width
                )
    page.section(
        "The rig", "Where the cameras stand and look, in millimetres; the coloured edge is the upper side of the picture."
    )
    return page.figure(rig, counted(len(capture.calibrated), "camera"), max_width=1400)


_LEAD = (
    "The mesh is rendered with the average texture as each camera should see it, and corners of that picture are searched in "
    "the photo. Their median distance is the reprojection error: far below a millimetre on the face when all is well. "
    "An error that all cameras share, and that the average texture was made with, cannot be seen this way."
)
_NOTES = {
    "error": "median distance between where a point of the face is and where the calibration puts it, pixels",
    "on the face": "the same in millimetres",
    "shift": "median shift of all points to the right and down, pixels",
    "points": "found again in the photo, of those looked for",
    "PSNR": "of photo and rendering inside the mask, linear camera values",
    "IoU": "silhouette, overlap of mesh and person (intersection over union); hair and clothes count against it",
}


HEADER = ("camera", "error", "on the face", "shift", "points", "PSNR", "IoU")


def cells(a: Alignment) -> list[str]:
    """The numbers as text, under ``HEADER`` without its first column."""
    measured = np.isfinite(a.error_px)
    return [
        f"{a.error_px:.2f} px" if measured else "not found" if a.compared else "-",
        f"{a.error_mm:.2f} mm" if measured else "-",
        f"{a.shift_px[0]:+.1f} {a.shift_px[1]:+.1f}" if measured else "-",
        f"{a.points}/{a.searched}" if a.compared else "-",
        f"{a.psnr:.1f} dB" if np.isfinite(a.psnr) else "-",
        "-" if a.silhouette_iou is None else f"{a.silhouette_iou:.3f}",
    ]


def _facts(report: FrameReport) -> list[tuple[str, str]]:
    facts = [(str(len(report.cameras)), "camera" if len(report.cameras) == 1 else "cameras")]
    if np.isfinite(report.error_mm):
        facts.insert(0, (f"{report.error_mm:.2f} mm", "reprojection error on the face, median over the cameras"))
    if report.verdict != "unknown":
        worst = "all cameras" if not report.misfits else f"cameras {', '.join(report.misfits[:6])}"
        facts.insert(
            1, (report.verdict, f"{worst}; good is up to {GOOD_MM:g} mm in every camera, usable up to {USABLE_MM:g} mm")
        )
    ious = [a.silhouette_iou for a in report.cameras.values() if a.silhouette_iou is not None]
    if ious:
        facts.append((f"{np.median(ious):.3f}", "silhouette overlap, median over the cameras"))
    return facts


def _sheets(key: FrameKey, views: Sequence[CameraView]) -> dict[str, np.ndarray]:
    names = [view.name for view in views]
    pictures = {
        "photos": [v.photo for v in views],
        "meshes": [v.wireframe for v in views],
        "normals": [v.normals for v in views],
    }
    columns = math.ceil(math.sqrt(1.9 * len(names)))  # photos stand upright, screens lie
    return {
        title: contact_sheet(each, names, columns=columns, cell_width=CELL, heading=f"{key}   {title}")
        for title, each in pictures.items()
    }


def _overview(page: Page, sheets: dict[str, np.ndarray]) -> None:
    page.section("All cameras", "Red, green and blue of the normals: to the subject's left, up, and straight ahead.")
    for title, sheet in sheets.items():
        page.figure(sheet, title, max_width=2000)


def _textures(
    page: Page,
    capture: Capture,
    key: FrameKey,
    names: Sequence[str],
    average: np.ndarray | None,
    folder: Path,
    files: list[Path],
) -> None:
    seen = [name for name in names if capture.has_texture(key, name)]
    if average is None and not seen:
        return
    page.section("Textures", "Black where no camera, or this camera, saw the skin.")
    if average is not None:
        page.figure(_save(to_display(average), folder / "average.png", files), "average over the cameras", max_width=1024)
    if seen:
        pictures = [fit_width(to_display(capture.texture(key, name)), CELL) for name in seen]
        sheet = contact_sheet(pictures, seen, columns=math.ceil(math.sqrt(1.6 * len(seen))), heading=f"{key}   textures")
        page.figure(_save(sheet, folder / "textures.png", files), "one for each camera", max_width=2000)


def _save(picture: np.ndarray, path: Path, files: list[Path]) -> np.ndarray:
    write_image(path, picture)
    files.append(path)
    return picture
