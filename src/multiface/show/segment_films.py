"""Videos of a segment seen by a camera: every frame in time order, with fixed weights and the latent mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import torch

from multiface.capture import Capture, read_audio, write_image
from multiface.core.files import make_folder
from multiface.data import Batch, BatchLoader, DevicePrefetcher, Sample, SampleIndex
from multiface.evaluate.metrics import masked_psnr
from multiface.show.compositor import DeviceRow, DifferenceColours, picture_bytes
from multiface.show.config import Kind
from multiface.show.display import to_display_tensor
from multiface.show.encoding import EncodingThread
from multiface.show.films import Film, Progress, start_film
from multiface.show.panels import NOT_COUNTED, TEXTURE_TITLES, Comparison, Legend, PanelRow
from multiface.show.scene import Scene
from multiface.show.timeline import Timeline, cut_sound, silent_timeline, sounding_timeline
from multiface.show.warp_field import WarpPictures
from multiface.train.step import Prediction, Step

_SUFFIX = {"comparison": "", "uv": "_uv", "warp": "_warp"}


class SegmentFilmer:
    """Makes the films of one kind, one after another.

    Args:
        scene: Model and capture.
        kind: ``comparison`` (photo | prediction | difference), ``uv`` (captured texture | predicted texture | difference) or
            ``warp`` (predicted texture | warp field | displacement).
        folder: Where files go.
    """

    def __init__(self, scene: Scene, kind: Kind, folder: Path) -> None:
        self.scene, self.folder = scene, folder
        self.kind: Kind = kind
        self.step: Step = scene.step()
        self._panels = _PANELS[kind](scene)

    def film(self, segment: str, camera: str, progress: Progress) -> Film:
        """Make the film of ``segment`` seen by ``camera``; without frames nothing is written and ``pictures`` is 0."""
        config, capture = self.scene.config, self.scene.capture
        path = self.folder / f"{segment}_{camera}{_SUFFIX[self.kind]}.mp4"
        film = Film(self.kind, f"{segment}, camera {camera}", path if config.videos else None, segment, camera)
        samples = self.scene.samples(segment, camera, photo=self.kind == "comparison", texture=self.kind == "uv")
        if not samples:
            return film
        timeline, audio = _timeline(self.scene, segment, [sample.key for sample in samples])
        film.fps, film.sound = timeline.rate, audio is not None
        with ExitStack() as stack:
            encoder = stack.enter_context(start_film(film, config, audio)) if config.videos else None
            self._show_all(film, samples, timeline, encoder, progress)
        film.frames = 0 if encoder is None else encoder.frames
        film.left_out = len(samples) - film.pictures
        if film.left_out:
            self.scene.note(f"{film.left_out} frames of {segment} could not be read ({capture.path}); the one before is held")
        return film

    def _show_all(
        self, film: Film, samples: list[Sample], timeline: Timeline, encoder: EncodingThread | None, progress: Progress
    ) -> None:
        every = self.scene.config.still_every
        for batch, prediction in predictions(self.scene, self.step, samples, self.kind):
            shown = self._panels.pictures(prediction, batch)
            for number, key in enumerate(batch.view_keys):
                panels = [panel[number] for panel in shown]
                if encoder is not None:
                    heading = f"{film.segment}   frame {key.frame}   camera {film.camera}"
                    encoder.add(self._panels.row.sheet(panels, heading), timeline.ticks[key])
                if every and film.pictures % every == 0:
                    write_stills(self.folder, f"val_{film.segment}_{film.camera}_{key.frame}", self._panels.names, panels)
                if film.pictures == len(samples) // 2 and self.kind == "comparison":
                    film.example = (panels[0].cpu().numpy().copy(), panels[1].cpu().numpy().copy())
                film.pictures += 1
            film.psnr += self._panels.psnr.tolist()  # only now: sheets are composed while the device still computes
            progress(film.title, film.pictures, len(samples))


def predictions(
    scene: Scene, step: Step, samples: Sequence[Sample], kind: Kind = "comparison"
) -> Iterator[tuple[Batch, Prediction]]:
    """Batches of samples in order, and what the model says of them; on the device of the model."""
    data, config = scene.data, scene.config
    loader = BatchLoader(
        scene.capture,
        SampleIndex(tuple(samples), ()),
        batch_size(scene),
        photo_size=data.picture_size if kind == "comparison" and data is not None else None,
        need_texture=kind == "uv",
        workers=config.n_worker,
        drop_broken=config.drop_broken,
        cache_bytes=0,
    )
    with closing(DevicePrefetcher(loader, scene.device).shares()) as shares:
        for batch in (share.batch for share in shares if share.batch is not None):
            with torch.no_grad():
                prediction = step.predict(batch, sample=False, render=kind == "comparison")
            yield batch, prediction


def batch_size(scene: Scene) -> int:
    """Views computed together: as asked for on a GPU; on a CPU more than two only cost memory."""
    return scene.config.val_batch_size if scene.device.type != "cpu" else min(scene.config.val_batch_size, 2)


class _PhotoPanels:
    """Photo | prediction | difference. The same mask acts on both: rendered pixels whose weight is above 0."""

    names = ("gt", "pred", "diff")

    def __init__(self, scene: Scene) -> None:
        data = scene.data
        size = (data.picture_size if data is not None else None) or (1, 1)
        self.row = DeviceRow(Comparison(size, scale=scene.config.scale).row, scene.device)
        self._difference = DifferenceColours(scene.config.scale, scene.device)
        self.psnr = torch.zeros(0)

    def pictures(self, prediction: Prediction, batch: Batch) -> list[torch.Tensor]:
        image, weight, photo = prediction.image, prediction.weight, batch.photo
        if image is None or weight is None or photo is None or prediction.covered is None:
            raise ValueError("a comparison needs rendered predictions and photos")
        shown = picture_bytes(image)
        mask = prediction.covered & (weight.amax(1) > 0)
        self.psnr = masked_psnr(_planes(shown), _planes(photo), mask)
        return [to_display_tensor(photo), to_display_tensor(shown), self._difference(shown, photo, mask)]


class _TexturePanels:
    """Captured | predicted | difference of textures, upright; grey where the camera saw nothing."""

    names = ("gt_tex", "pred_tex", "diff_tex")

    def __init__(self, scene: Scene) -> None:
        size = scene.model.tex_size
        layout = Comparison((size, size), titles=TEXTURE_TITLES, scale=scene.config.scale)
        self.row = DeviceRow(layout.row, scene.device)
        self._difference = DifferenceColours(scene.config.scale, scene.device)
        self._unseen = torch.tensor(NOT_COUNTED, dtype=torch.uint8, device=scene.device)
        self._normalisation = scene.normalisation
        self.psnr = torch.zeros(0)

    def pictures(self, prediction: Prediction, batch: Batch) -> list[torch.Tensor]:
        if prediction.target_texture is None or prediction.mask is None:
            raise ValueError("texture panels need the camera's texture")
        truth, shown = (self._upright(texture) for texture in (prediction.target_texture, prediction.texture))
        seen = prediction.mask.amin(1).flip(1) > 0.5
        left = torch.where(seen[..., None], to_display_tensor(truth), self._unseen)
        return [left, to_display_tensor(shown), self._difference(shown, truth, seen)]

    def _upright(self, texture: torch.Tensor) -> torch.Tensor:
        return picture_bytes(self._normalisation.denormalise_texture(texture).flip(2) / 255.0)


class _WarpPanels:
    """Predicted texture | grid drawn on it and moved by the field | how far texels move."""

    names = ("pred_tex", "warp_grid", "warp_field")

    def __init__(self, scene: Scene) -> None:
        size = scene.model.tex_size
        self._field = WarpPictures(scene.model, scene.device)
        titles = ("predicted texture", "warp field on a grid", "displacement")
        legend = Legend("length of the displacement", self._field.scale, f"texels of {size}")
        self.row = DeviceRow(PanelRow((size, size), titles, legend=legend), scene.device)
        self._normalisation = scene.normalisation
        self.psnr = torch.zeros(0)

    def pictures(self, prediction: Prediction, batch: Batch) -> list[torch.Tensor]:
        if prediction.grid is None:
            raise ValueError("a warp panel needs a warp field")
        texture = picture_bytes(self._normalisation.denormalise_texture(prediction.texture).flip(2) / 255.0)
        return [to_display_tensor(texture), self._field.grid(prediction.grid), self._field.displacement(prediction.grid)]


_PANELS = {"comparison": _PhotoPanels, "uv": _TexturePanels, "warp": _WarpPanels}


def _planes(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.permute(0, 3, 1, 2).float()


def _timeline(scene: Scene, segment: str, shown: list) -> tuple[Timeline, tuple[np.ndarray, int] | None]:
    """When frames are shown, and the sound that goes with them. The segment begins with the capture's first frame of it."""
    capture: Capture = scene.capture
    every = capture.segments.get(segment, ())
    if not set(shown) <= set(every):  # a frame list of its own
        every = scene.segments[segment]
    path = capture.audio(segment) if scene.config.videos else None
    if path is None:
        return silent_timeline(every, shown, scene.config.fps), None
    timeline = sounding_timeline(every, shown)
    samples, rate = cut_sound(*read_audio(path), timeline.offset)
    return timeline, (samples, rate) if len(samples) else None


def write_stills(folder: Path, tag: str, names: Sequence[str], panels: Sequence[torch.Tensor]) -> None:
    """Write ``pictures/<name>_<tag>.png`` for uint8 (H, W, 3) panels in display colours."""
    make_folder(folder / "pictures")
    for name, panel in zip(names, panels):
        write_image(folder / "pictures" / f"{name}_{tag}.png", panel.cpu().numpy())
