"""Pictures of single test samples for a report: what was there, what the model says, and the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from multiface.data import BatchLoader, Sample, SampleIndex
from multiface.evaluate.run import TestRun
from multiface.show.colormap import DIFFERENCE_SCALE, colour_map, mean_difference
from multiface.show.display import to_display
from multiface.show.dumps import linear_picture, texture_picture

DIFFERENCE_NOTE = (
    f"mean absolute difference over the channels, linear camera units, 0 (dark) to {DIFFERENCE_SCALE:g} of 255 (bright)"
)


@dataclass(frozen=True)
class Still:
    """One sample.

    Attributes:
        sample: Which.
        kind: ``"photo"``, or ``"texture"`` where no pictures are compared.
        truth, shown: (H, W, 3) uint8 display colours, black where the model says nothing (or the camera saw nothing).
        difference: (H, W, 3) uint8 colours of the difference, measured in linear camera units.
    """

    sample: Sample
    kind: str
    truth: np.ndarray
    shown: np.ndarray
    difference: np.ndarray


def stills_of(run: TestRun, samples: Sequence[Sample]) -> list[Still]:
    """Predict single samples once more, with nothing fitted and the latent mean, and keep pictures of them."""
    size = run.data.picture_size
    index = SampleIndex(tuple(samples), ())
    loader = BatchLoader(run.data.capture, index, 1, photo_size=size, workers=0, cache_bytes=0)
    run.step.model.eval()
    stills = []
    for batch in loader:
        sample = Sample(batch.view_keys[0], batch.cameras[0])
        with torch.no_grad():
            prediction = run.step.predict(batch.to(run.device), sample=False, render=True)
        if prediction.image is not None and prediction.photo is not None and prediction.covered is not None:
            truth, shown = linear_picture(prediction.photo[0]), linear_picture(prediction.image[0])
            mask = prediction.covered[0].cpu().numpy()
            stills.append(_still(sample, "photo", truth, shown, mask))
        elif prediction.target_texture is not None and prediction.mask is not None:
            normalisation = run.step.normalisation
            truth = texture_picture(prediction.target_texture[0], normalisation)
            shown = texture_picture(prediction.texture[0], normalisation)
            seen = np.ascontiguousarray((prediction.mask[0].amin(0) > 0.5).cpu().numpy()[::-1])
            stills.append(_still(sample, "texture", np.where(seen[..., None], truth, 0), shown, seen))
    return stills


def _still(sample: Sample, kind: str, truth: np.ndarray, shown: np.ndarray, mask: np.ndarray) -> Still:
    difference = colour_map(mean_difference(shown, truth, mask))
    shown = np.where(mask[..., None], shown, 0).astype(np.uint8)
    return Still(sample, kind, to_display(truth), to_display(shown), difference)
