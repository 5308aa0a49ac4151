"""Every metric of a batch of predictions, one value per sample, computed and kept where the prediction is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from multiface.evaluate.metrics import DATA_RANGE, masked_psnr, masked_ssim, vertex_distances
from multiface.train.step import Prediction, Step

Perceptual = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Metrics:
    """What is measured besides the metrics that are always measured.

    Attributes:
        regions: Region of the face -> (K,) int64 vertex indices, on the device of the model.
        perceptual: LPIPS of pictures (B, 3, H, W) in 0..1, or None.
    """

    regions: Mapping[str, torch.Tensor] = field(default_factory=dict)
    perceptual: Perceptual | None = None

    @staticmethod
    def on(device: torch.device, regions: Mapping[str, np.ndarray], perceptual: Perceptual | None = None) -> Metrics:
        """The same with the vertex indices on ``device``."""
        return Metrics({name: torch.as_tensor(ids, device=device) for name, ids in regions.items()}, perceptual)

    @torch.no_grad()
    def of(self, step: Step, prediction: Prediction) -> dict[str, torch.Tensor]:
        """(B,) values of a prediction: ``mesh``..., with textures ``tex``..., with pictures ``screen``, ``psnr``..."""
        values = self._mesh(step, prediction.vertices, prediction.target_vertices)
        if prediction.target_texture is not None and prediction.mask is not None:
            error = prediction.mask * (prediction.texture - prediction.target_texture)
            values |= _texture(step, error, prediction.mask)
        if prediction.image is not None and prediction.photo is not None and prediction.covered is not None:
            values |= self._picture(step, prediction)
        return values

    @torch.no_grad()
    def of_the_mean(self, step: Step, prediction: Prediction) -> dict[str, torch.Tensor]:
        """The same mesh and texture values for the mean mesh and the mean texture in place of the prediction."""
        values = self._mesh(step, torch.zeros_like(prediction.target_vertices), prediction.target_vertices)
        if prediction.target_texture is not None and prediction.mask is not None:
            values |= _texture(step, prediction.mask * prediction.target_texture, prediction.mask)
        return values

    def _mesh(self, step: Step, shown: torch.Tensor, true: torch.Tensor) -> dict[str, torch.Tensor]:
        distances = vertex_distances(*map(step.normalisation.denormalise_vertices, (shown, true)))
        values = {"mesh": (shown - true).square().mean(dim=(1, 2)), "mesh_mm": distances.mean(dim=1)}
        return values | {f"mesh_mm_{name}": distances[:, ids].mean(dim=1) for name, ids in self.regions.items()}

    def _picture(self, step: Step, prediction: Prediction) -> dict[str, torch.Tensor]:
        shown, photo, covered = prediction.image, prediction.photo, prediction.covered
        if shown is None or photo is None or covered is None or prediction.weight is None:
            return {}
        scale = (DATA_RANGE / step.normalisation.tex_std).square()
        values = {"screen": ((shown - photo).square() * prediction.weight).mean(dim=(1, 2, 3)) * scale}
        # As a picture file would hold it: predictions are not clamped in the losses.
        linear, true = shown.clamp(0, 1) * DATA_RANGE, photo * DATA_RANGE
        values["psnr"] = masked_psnr(linear, true, covered)
        values["ssim"] = masked_ssim(linear, true, covered)
        if self.perceptual is not None:
            inside = covered[:, None]
            values["lpips"] = self.perceptual(shown.clamp(0, 1) * inside, photo * inside)
        return values


def _texture(step: Step, error: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Texture metrics of masked normalised errors (B, 3, T, T)."""
    variance = step.normalisation.tex_std.square()
    total, seen = error.square().sum(dim=(1, 2, 3)), mask.square().sum(dim=(1, 2, 3))
    tex = total / error[0].numel()
    return {
        "tex": tex,
        "tex_denorm": tex * variance,
        "tex_psnr": 10 * torch.log10(DATA_RANGE**2 / (total / seen * variance)),
    }
