"""Films a whole capture and writes it in the published layout."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multiface.capture import (
    CaptureLayout,
    FrameKey,
    read_head_pose,
    read_krt,
    write_audio,
    write_frame_list,
    write_head_pose,
    write_image,
    write_krt,
    write_obj,
    write_vertices,
)
from multiface.core.errors import ArgumentError, StorageError
from multiface.core.files import storage_errors
from multiface.core.parallel import default_workers, ordered_map
from multiface.geometry import Camera
from multiface.prepare.capture import unwrap_capture
from multiface.prepare.stage.actor import Actor, procedural_actor
from multiface.prepare.stage.animation import Performance, perform
from multiface.prepare.stage.config import StageConfig
from multiface.prepare.stage.film import Film, Set
from multiface.prepare.stage.identity import random_stream
from multiface.prepare.stage.lighting import stage_lamps
from multiface.prepare.stage.own_head import own_actor
from multiface.prepare.stage.rig import REST_POSE, build_rig, camera_gains, pose_at_focus
from multiface.prepare.stage.segments import choose_segments
from multiface.prepare.stage.speech import SAMPLE_RATE

TRACKING_NOISE = 0.05
"""mm, standard deviation of the difference between the filmed surface and the mesh that is written."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Everything needed for filming: the actor, the set, and what is performed."""

    config: StageConfig
    actor: Actor
    scene: Set
    performances: tuple[Performance, ...]


@dataclass(frozen=True)
class Filmed:
    """What was written: the folder, how many frames, segments and cameras, and the seconds it took."""

    capture: Path
    frames: int
    segments: int
    cameras: int
    seconds: float

    def to_json(self) -> dict[str, object]:
        """The same as plain types."""
        return {
            "capture": str(self.capture),
            "frames": self.frames,
            "segments": self.segments,
            "cameras": self.cameras,
            "seconds": round(self.seconds, 3),
        }


def build_stage(config: StageConfig) -> Stage:
    """Build actor, rig and performances of ``config``.

    Raises:
        CaptureError: a file of an own head or calibration is missing.
        FormatError: such a file cannot be read or does not fit.
        ArgumentError: more cameras are asked for than the calibration has.
    """
    cameras = _cameras(config)
    rest_pose = _rest_pose(config, cameras)
    # Maps finer than the photos can show would only cost time.
    map_size = 512 if max(config.image_size) <= 400 else 1024 if max(config.image_size) <= 1100 else 2048
    actor = own_actor(config, rest_pose, map_size) if config.own_head else procedural_actor(config.seed, map_size)
    lamps = stage_lamps(rest_pose)
    scene = Set(actor.topology, actor.materials, lamps, cameras, camera_gains(len(cameras), config.seed))
    names = choose_segments(config.segments)
    performances = tuple(perform(name, config.frames_per_segment, config.seed, rest_pose, names) for name in names)
    return Stage(config, actor, scene, performances)


def write_capture(config: StageConfig, out: str | Path, progress: Progress | None = None) -> Filmed:
    """Film ``config`` and write the capture ``out``: photos, meshes, poses, calibration, sound, textures, statistics.

    Everything is made in a folder beside ``out`` that takes its name when it is complete. The same ``config`` gives the
    same bytes, whatever the number of threads.

    Raises:
        ArgumentError: the configuration does not fit, or ``out`` exists and is not an empty folder.
        CaptureError, FormatError: a file of an own head or calibration is missing or wrong.
        StorageError: the folder cannot be written.
    """
    began = time.perf_counter()
    report = progress or (lambda what, done, total: None)
    out = Path(out)
    _require_free(out)
    report("building the head", 0, 1)
    stage = build_stage(config)
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        temporary.chmod(0o755)
    try:
        with storage_errors(out):
            _film(stage, CaptureLayout(temporary, config.tex_size), report)
            unwrap_capture(temporary, config.tex_size, progress=lambda done, total: report("unwrapping textures", done, total))
            _move_into_place(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    frames = sum(len(performance.numbers) for performance in stage.performances)
    return Filmed(out, frames, len(stage.performances), len(stage.scene.cameras), time.perf_counter() - began)


def _cameras(config: StageConfig) -> tuple[Camera, ...]:
    if config.calibration is None:
        return build_rig(config.n_cameras, config.image_size, config.seed)
    cameras = list(read_krt(config.calibration).values())
    if config.n_cameras > len(cameras):
        raise ArgumentError(
            "--n-cameras asks for more cameras than the calibration has",
            where=config.calibration,
            expected=f"at most {len(cameras)}",
            found=config.n_cameras,
        )
    return tuple(camera.resized(config.image_size) for camera in cameras[: config.n_cameras])


def _rest_pose(config: StageConfig, cameras: tuple[Camera, ...]) -> np.ndarray:
    if config.pose is not None:
        return read_head_pose(config.pose)
    return REST_POSE if config.calibration is None else pose_at_focus(cameras)


def _film(stage: Stage, layout: CaptureLayout, report: Progress) -> None:
    """Write everything that does not come from unwrapping."""
    film = Film(stage.scene)
    write_krt(layout.krt, stage.scene.cameras)
    shots = [(performance, k) for performance in stage.performances for k in range(len(performance.numbers))]
    write_frame_list(layout.frame_list, [_key(performance, k) for performance, k in shots])
    for performance in stage.performances:
        if performance.speech is not None:
            write_audio(layout.audio(performance.segment), performance.speech.sound(), SAMPLE_RATE)

    def shoot(shot: tuple[Performance, int]) -> None:
        _write_frame(stage, film, layout, *shot)

    with closing(ordered_map(shoot, shots, workers=default_workers())) as results:
        for done, _ in enumerate(results, start=1):
            report("filming", done, len(shots))


def _write_frame(stage: Stage, film: Film, layout: CaptureLayout, performance: Performance, k: int) -> None:
    actor, key = stage.actor, _key(performance, k)
    vertices = actor.mesh(performance.weights[k])
    rng = random_stream(stage.config.seed, f"tracking {key}")
    tracked = (vertices + TRACKING_NOISE * rng.standard_normal(vertices.shape)).astype(np.float32)
    write_vertices(layout.vertices(key), tracked)
    write_obj(layout.mesh(key), tracked, actor.topology)
    write_head_pose(layout.head_pose(key), performance.poses[k])
    for name, photo in film.photos(vertices, performance.poses[k], actor.access_of(vertices)):
        write_image(layout.photo(key, name), photo)


def _key(performance: Performance, k: int) -> FrameKey:
    return FrameKey(performance.segment, f"{performance.numbers[k]:06d}")


def _require_free(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise ArgumentError(
            "the output folder is not empty", where=out, remedy="Choose another folder, or remove this one first"
        )
    if out.exists() and not out.is_dir():
        raise ArgumentError("the output path is a file", where=out, remedy="Choose another path")


def _move_into_place(temporary: Path, out: Path) -> None:
    if out.is_dir():
        out.rmdir()  # empty, as checked at the start
    elif out.exists():
        raise StorageError("something else was written there meanwhile", where=out)
    temporary.rename(out)
