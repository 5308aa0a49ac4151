"""What the names of files and folders tell: listed but missing, present but not listed, cameras without calibration."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from multiface.capture.capture import Capture
from multiface.capture.frame_list import read_frame_list
from multiface.capture.image import IMAGE_SUFFIXES
from multiface.capture.inspection.report import InspectionReport, some
from multiface.capture.names import AVERAGE

_MESH_ENDINGS = ("_transform.txt", ".bin", ".obj")


def check_names(capture: Capture, report: InspectionReport) -> None:
    """Compare the frame list and the KRT with what is there, from folder listings alone."""
    frames = {segment: {key.frame for key in keys} for segment, keys in capture.segments.items()}
    _check_frame_list(capture, report)
    _check_meshes(capture, report, frames)
    roots = [(capture.layout.photos, False)] + [(capture.path / f"unwrapped_uv_{size}", True) for size in capture.texture_sizes]
    for root, are_textures in roots:
        _check_pictures(capture, report, frames, root, are_textures)
    if not capture.texture_sizes:
        report.add(capture.layout.textures, "missing: there are no textures yet; multiface unwrap makes them")
        if not capture.listing.folders(capture.layout.photos):
            report.add(capture.layout.photos, "missing: there are neither photos nor textures")
    _check_cameras(capture, report, [root for root, _ in roots])


def _check_frame_list(capture: Capture, report: InspectionReport) -> None:
    path = capture.layout.frame_list
    if not path.exists():
        report.add(path, "missing; the tracked meshes stand in for it")
        return
    repeated = [str(key) for key, count in Counter(read_frame_list(path)).items() if count > 1]
    if repeated:
        report.add(path, f"{len(repeated)} frames are listed more than once ({some(repeated)})")


def _check_meshes(capture: Capture, report: InspectionReport, frames: dict[str, set[str]]) -> None:
    root = capture.layout.meshes
    for segment, listed in frames.items():
        present: dict[str, set[str]] = {ending: set() for ending in _MESH_ENDINGS}
        unexpected = []
        for name in capture.listing.files(root / segment):
            ending = next((ending for ending in _MESH_ENDINGS if name.endswith(ending)), None)
            if ending is None:
                unexpected.append(name)
            else:
                present[ending].add(name.removesuffix(ending))
        _missing(report, root / segment, listed, present[".bin"], ".bin", "mesh")
        _missing(report, root / segment, listed, present["_transform.txt"], "_transform.txt", "head pose")
        unlisted = [frame + ending for ending in _MESH_ENDINGS for frame in present[ending] - listed]
        _unlisted(capture, report, root / segment, unlisted)
        _unexpected(report, root / segment, unexpected)
    _unlisted_segments(capture, report, root, frames)


def _check_pictures(
    capture: Capture, report: InspectionReport, frames: dict[str, set[str]], root: Path, are_textures: bool
) -> None:
    for segment, listed in frames.items():
        folder = root / segment
        unlisted = []
        for camera in capture.listing.folders(folder):
            names = capture.listing.files(folder / camera)
            pictures = [name for name in names if name.endswith(IMAGE_SUFFIXES)]
            unlisted += [f"{camera}/{name}" for name in pictures if name.rpartition(".")[0] not in listed]
            _unexpected(report, folder / camera, names.difference(pictures))
        _unlisted(capture, report, folder, unlisted)
        _unexpected(report, folder, capture.listing.files(folder))
        if are_textures:
            averages = {name.rpartition(".")[0] for name in capture.listing.files(folder / AVERAGE)}
            _missing(report, folder / AVERAGE, listed, averages, ".png", "average texture")
    _unlisted_segments(capture, report, root, frames)


def _check_cameras(capture: Capture, report: InspectionReport, roots: list[Path]) -> None:
    seen: set[str] = set()
    for root in roots:
        unknown: dict[str, list[Path]] = defaultdict(list)
        for segment in capture.listing.folders(root):
            for camera in capture.listing.folders(root / segment):
                seen.add(camera)
                if camera not in capture.calibrated and not (camera == AVERAGE and root != capture.layout.photos):
                    unknown[camera].append(root / segment / camera)
        for camera, folders in unknown.items():
            pictures = sum(len(capture.listing.files(folder)) for folder in folders)
            where = "one segment" if len(folders) == 1 else f"{len(folders)} segments"
            report.add(folders[0], f"camera {camera} has no calibration in KRT ({pictures} pictures in {where})")
    if seen and capture.store is None:  # a store may well be of some of the cameras
        for camera in capture.calibrated:
            if camera not in seen:
                report.add(capture.layout.krt, f"camera {camera} has a calibration but no pictures")


def _missing(report: InspectionReport, folder: Path, listed: set[str], present: set[str], ending: str, kind: str) -> None:
    lacking = sorted(listed - present)
    if len(lacking) == len(listed) > 1:
        report.add(folder, f"missing: no {kind} of any of the {len(listed)} frames of this segment")
        return
    for frame in lacking:
        report.add(folder / (frame + ending), f"missing: this frame has no {kind}")


def _unlisted(capture: Capture, report: InspectionReport, folder: Path, names: list[str]) -> None:
    reason = "not listed in frame_list.txt" if capture.layout.frame_list.exists() else "without a tracked mesh"
    if len(names) == 1:
        report.add(folder / names[0], f"file of a frame {reason}")
    elif names:
        report.add(folder, f"{len(names)} files of frames {reason} ({some(sorted(names))})")


def _unlisted_segments(capture: Capture, report: InspectionReport, root: Path, frames: dict[str, set[str]]) -> None:
    reason = "in frame_list.txt" if capture.layout.frame_list.exists() else "among the tracked meshes"
    for segment in capture.listing.folders(root):
        if segment not in frames:
            report.add(root / segment, f"segment has no frames {reason}")


def _unexpected(report: InspectionReport, folder: Path, names) -> None:
    if names:
        first = folder / min(names)
        report.add(first, "unexpected file" + (f", and {len(names) - 1} more in this folder" if len(names) > 1 else ""))
