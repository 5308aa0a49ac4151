"""What a model predicts for chosen views, one after another, beside what the cameras saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from multiface.capture import Capture, FrameKey
from multiface.data import BatchLoader, Normalisation, Sample, SampleIndex
from multiface.show.dumps import linear_picture, texture_picture
from multiface.train.step import Prediction, Step


@dataclass(frozen=True)
class View:
    """One frame seen by one camera; all pictures uint8, linear camera values.

    Attributes:
        key, camera: Which.
        truth: (H, W, 3) photo.
        prediction: (H, W, 3) rendered picture, black where no triangle is.
        covered: (H, W) bool, where a triangle is.
        texture, target_texture: (T, T, 3) rows as in texture files.
        seen: (T, T) bool, texels that the camera saw, rows as in files.
    """

    key: FrameKey
    camera: str
    truth: np.ndarray
    prediction: np.ndarray
    covered: np.ndarray
    texture: np.ndarray
    target_texture: np.ndarray
    seen: np.ndarray


def predicted_views(
    step: Step,
    capture: Capture,
    samples: Sequence[Sample],
    size: tuple[int, int],
    device: torch.device,
    *,
    batch_size: int = 4,
    workers: int | None = None,
) -> Iterator[View]:
    """Predictions with fixed weights and the latent mean, in the order of ``samples``.

    Args:
        step: Model and how it is fed.
        capture: Where photos and meshes come from.
        samples: Views to predict.
        size: (height, width) of the pictures.
        device: Where the model is.
        batch_size: Views computed together; memory depends on this, not on the number of samples.
        workers: Reading threads.
    """
    index = SampleIndex(tuple(samples), ())
    loader = BatchLoader(capture, index, batch_size, photo_size=size, workers=workers, cache_bytes=0)
    step.model.eval()
    for batch in loader:
        with torch.no_grad():
            prediction = step.predict(batch.to(device), sample=False, render=True)
        for number, (key, camera) in enumerate(zip(batch.view_keys, batch.cameras)):
            yield _view(prediction, number, key, camera, step.normalisation)


def samples_of(index: SampleIndex, *, cameras: Sequence[str], segment: str | None = None) -> list[Sample]:
    """The samples of some cameras (and of one segment), by camera, then in time order."""
    wanted = [s for s in index.samples if segment in (None, s.key.segment)]
    ordered = sorted(wanted, key=lambda s: (s.key.segment, int(s.key.frame) if s.key.frame.isdigit() else 0, s.key.frame))
    return [sample for camera in cameras for sample in ordered if sample.camera == camera]


def _view(prediction: Prediction, number: int, key: FrameKey, camera: str, normalisation: Normalisation) -> View:
    if prediction.image is None or prediction.photo is None or prediction.covered is None:
        raise ValueError("a view needs a rendered prediction")
    if prediction.target_texture is None or prediction.mask is None:
        raise ValueError("a view needs the camera's texture")
    seen = prediction.mask[number].amin(0) > 0.5
    return View(
        key=key,
        camera=camera,
        truth=linear_picture(prediction.photo[number]),
        prediction=linear_picture(prediction.image[number]),
        covered=prediction.covered[number].cpu().numpy(),
        texture=texture_picture(prediction.texture[number], normalisation),
        target_texture=texture_picture(prediction.target_texture[number], normalisation),
        seen=np.ascontiguousarray(seen.cpu().numpy()[::-1]),
    )
