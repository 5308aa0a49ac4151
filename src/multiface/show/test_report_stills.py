"""Pictures of single test samples for a report: what was there, what the model says, and the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from multiface.core.parallel import default_workers, ordered_map
from multiface.data import BatchLoader, Sample, SampleIndex
from multiface.evaluate.run import TestRun
from multiface.geometry import flip_rows
from multiface.show.colormap import DIFFERENCE_SCALE, colour_map, mean_difference
from multiface.show.display import to_display
from multiface.show.dumps import linear_picture, texture_picture

DIFFERENCE_NOTE = (
    f"mean absolute difference over the channels, linear camera units, 0 (dark) to {DIFFERENCE_SCALE:g} of 255 (bright)"
)
_Shown = tuple[Sample, str, np.ndarray, np.ndarray, np.ndarray]


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


def stills_of(run: TestRun, samples: Sequence[Sample], together: int | None = None) -> list[Still]:
    """Predict single samples once more, with nothing fitted and the latent mean, and keep pictures of them.

    Args:
        run: The test.
        samples: Which.
        together: How many are predicted at once. When absent, a GPU predicts as many as when measuring, and a CPU one by
            one, which its caches can hold.
    """
    size, index = run.data.picture_size, SampleIndex(tuple(samples), ())
    if together is None:
        together = 1 if run.device.type == "cpu" else min(run.loader.batch_size, max(len(samples), 1))
    loader = BatchLoader(run.data.capture, index, together, photo_size=size, workers=default_workers(), cache_bytes=0)
    run.step.model.eval()
    with closing(ordered_map(lambda shown: _still(*shown), _predicted(run, loader), workers=default_workers())) as stills:
        return list(stills)


def _predicted(run: TestRun, loader: BatchLoader) -> Iterator[_Shown]:
    """The arguments of :func:`_still` for each view of the loader."""
    normalisation = run.step.normalisation
    for batch in loader:
        with torch.no_grad():
            p = run.step.predict(batch.to(run.device), sample=False, render=True)
        for view, sample in enumerate(map(Sample, batch.view_keys, batch.cameras)):
            if p.image is not None and p.photo is not None and p.covered is not None:
                truth, shown = linear_picture(p.photo[view]), linear_picture(p.image[view])
                yield sample, "photo", truth, shown, p.covered[view].cpu().numpy()
            elif p.target_texture is not None and p.mask is not None:
                truth, shown = (texture_picture(t[view], normalisation) for t in (p.target_texture, p.texture))
                yield sample, "texture", truth, shown, flip_rows((p.mask[view].amin(0) > 0.5).cpu().numpy())


def _still(sample: Sample, kind: str, truth: np.ndarray, shown: np.ndarray, mask: np.ndarray) -> Still:
    difference = colour_map(mean_difference(shown, truth, mask))
    if kind == "texture":  # a photo shows what is beside the mesh
        truth = truth * mask[..., None]
    return Still(sample, kind, to_display(truth), to_display(shown * mask[..., None]), difference)
