"""Videos of the model itself, without ground truth: turntable, camera path, and walks between expressions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from multiface.capture import FrameKey
from multiface.core.errors import CaptureError
from multiface.data import Sample
from multiface.show.avatar import Avatar
from multiface.show.cameras import Framing, Place, along, read_camera_path, stations_of_capture, turntable
from multiface.show.choices import choose_frame
from multiface.show.compositor import DeviceRow
from multiface.show.config import Kind
from multiface.show.films import Film, Progress, start_film
from multiface.show.panels import PanelRow
from multiface.show.scene import Scene, has_frame
from multiface.show.segment_films import batch_size, predictions, write_stills

SIZE = (960, 720)
PANELS = ("model", "geometry")
DISTANCE = 1000.0  # mm, when nothing else says how far away cameras are
PRIOR_EXPRESSIONS = 5
MOST_EXPRESSIONS = 8


@dataclass
class Walk:
    """What is played: for every picture its latent code, and what is written over it."""

    latents: torch.Tensor
    places: list[Place]
    headings: list[str]


def film_model(scene: Scene, kind: Kind, folder: Path, progress: Progress) -> Film:
    """Make ``turntable.mp4``, ``path.mp4`` or ``walk.mp4``, and pictures where they are asked for."""
    config = scene.config
    size = config.resolution or SIZE
    avatar = Avatar(scene.model, scene.normalisation, scene.topology, scene.device, size)
    framing = Framing(avatar.mesh(avatar.mean_latent()), size, DISTANCE)
    walk = {"turntable": _turntable, "path": _path, "walk": _walk}[kind](scene, avatar, framing)
    film = Film(kind, _TITLES[kind], folder / f"{kind}.mp4" if config.videos else None, fps=config.fps)
    row = DeviceRow(PanelRow(size, PANELS), scene.device)
    total, batch = len(walk.places), min(batch_size(scene), 4)
    every = config.still_every
    with ExitStack() as stack:
        encoder = stack.enter_context(start_film(film, config)) if config.videos else None
        for begin in range(0, total, batch):
            here = range(begin, min(begin + batch, total))
            views = np.stack([framing.view(walk.places[i]) for i in here])
            projections = np.stack([framing.projection(walk.places[i]) for i in here])
            shown = avatar.pictures(walk.latents[begin : here.stop], views, projections)
            for number, i in enumerate(here):
                panels = [panel[number] for panel in shown]
                if encoder is not None:
                    encoder.add(row.sheet(panels, walk.headings[i]), i)
                if every and i % every == 0:
                    write_stills(folder, f"{kind}_{i:05d}", PANELS, panels)
            film.pictures = here.stop
            progress(film.title, film.pictures, total)
    film.frames = 0 if encoder is None else encoder.frames
    return film


_TITLES = {"turntable": "turntable", "path": "camera path", "walk": "walk between expressions"}


def _turntable(scene: Scene, avatar: Avatar, framing: Framing) -> Walk:
    places = turntable(_length(scene), scene.config.degrees, DISTANCE)
    return _with_expression(scene, avatar, places, "turntable")


def _path(scene: Scene, avatar: Avatar, framing: Framing) -> Walk:
    config = scene.config
    if config.camera_path is not None:
        stations = read_camera_path(config.camera_path, DISTANCE)
    else:
        stations = stations_of_capture(scene.capture, _first_frame(scene), framing, DISTANCE)
    return _with_expression(scene, avatar, along(stations, _length(scene)), "camera path")


def _with_expression(scene: Scene, avatar: Avatar, places: list[Place], title: str) -> Walk:
    """Cameras that move around: the mean face, or the chosen frames of a capture one after another, there and back."""
    n = len(places)
    if scene.data is not None and scene.config.segments:
        keys = [key for frames in scene.segments.values() for key in frames if has_frame(scene.capture, key)]
        if not keys:
            raise CaptureError("not one of the chosen frames has mesh, pose and average texture", where=scene.capture.path)
        there_and_back = keys + keys[-2:0:-1]
        played = [there_and_back[i % len(there_and_back)] for i in range(n)]
        code = _latents(scene, list(dict.fromkeys(played)))
        latents, names = torch.cat([code[key] for key in played]), [str(key) for key in played]
    else:
        latents, names = avatar.mean_latent().expand(n, -1), ["mean face"] * n
    return Walk(latents, places, [f"{title}   {name}   {place.yaw:+.0f}°" for name, place in zip(names, places)])


def _walk(scene: Scene, avatar: Avatar, framing: Framing) -> Walk:
    """From expression to expression and back to the first, smoothly, while the camera swings a little."""
    n = _length(scene)
    if scene.data is None:
        random = torch.Generator().manual_seed(scene.config.seed)
        codes = torch.randn(PRIOR_EXPRESSIONS, scene.model.nlatent, generator=random).to(scene.device)
        names = [f"drawn from the prior, {number + 1}" for number in range(PRIOR_EXPRESSIONS)]
    else:
        keys = _expressions(scene)
        code = _latents(scene, keys)
        codes, names = torch.cat([code[key] for key in keys]), [str(key) for key in keys]
    at = len(codes) * np.arange(n) / n
    first = at.astype(int)
    part = at - first
    ease = torch.from_numpy((part * part * (3 - 2 * part)).astype(np.float32)).to(scene.device)[:, None]
    following = (first + 1) % len(codes)
    latents = codes[first] * (1 - ease) + codes[following] * ease
    headings = [f"from {names[a]} to {names[b]}" for a, b in zip(first, following)]
    return Walk(latents, turntable(n, 36.0, DISTANCE), headings)


def _expressions(scene: Scene) -> list[FrameKey]:
    """The frames asked for, else the strongest expression (mesh farthest from the mean) of each segment, up to eight."""
    capture = scene.capture
    if scene.config.frames:
        keys = [choose_frame(capture, name) for name in scene.config.frames]
        _require_whole(scene, keys)
        return keys
    segments = list(scene.segments if scene.config.segments else capture.segments)
    picked = segments[:: max(1, -(-len(segments) // MOST_EXPRESSIONS))]
    mean = scene.normalisation.vert_mean.cpu().numpy()
    keys = []
    for segment in picked:
        frames = [key for key in capture.segments.get(segment, ()) if has_frame(capture, key)]
        some = frames[:: max(1, len(frames) // 60)]
        if some:
            keys.append(max(some, key=lambda key: float(np.square(capture.vertices(key) - mean).sum())))
    if not keys:
        raise CaptureError("no segment has a frame with mesh, pose and average texture", where=capture.path)
    return keys


def _require_whole(scene: Scene, keys: Sequence[FrameKey]) -> None:
    broken = [str(key) for key in keys if not has_frame(scene.capture, key)]
    if broken:
        raise CaptureError(
            "a frame lacks mesh, head pose or average texture", where=scene.capture.path, found=", ".join(broken[:4])
        )


def _first_frame(scene: Scene) -> FrameKey:
    capture = scene.capture
    for key in capture.frames:
        if capture.has_head_pose(key):
            return key
    raise CaptureError("no frame has a head pose", where=capture.path)


def _latents(scene: Scene, keys: Sequence[FrameKey]) -> dict[FrameKey, torch.Tensor]:
    """The latent mean (1, Z) of each frame."""
    camera = scene.capture.calibrated[0]
    codes: dict[FrameKey, torch.Tensor] = {}
    step = scene.step()
    for batch, prediction in predictions(scene, step, [Sample(key, camera) for key in keys], "warp"):
        for key, mean in zip(batch.view_keys, prediction.latent_mean):
            codes[key] = mean[None]
    missing = [str(key) for key in keys if key not in codes]
    if missing:
        raise CaptureError("a frame cannot be read", where=scene.capture.path, found=", ".join(missing[:4]))
    return codes


def _length(scene: Scene) -> int:
    return max(1, round(scene.config.seconds * scene.config.fps))
