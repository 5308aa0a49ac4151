"""The pictures that training and testing leave behind, under their published names, upright and in display colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from multiface.capture import write_image
from multiface.core.parallel import Background
from multiface.data import Normalisation
from multiface.geometry import flip_rows
from multiface.show.display import to_display
from multiface.train.step import Prediction


def write_prediction_pictures(
    folder: Path, tag: str, prediction: Prediction, normalisation: Normalisation, background: Background | None = None
) -> None:
    """Write what the model says about the last sample of a batch.

    Files: ``gt_tex_<tag>.png`` (black where the camera saw nothing), ``pred_tex_<tag>.png``, and with photos
    ``gt_<tag>.png`` and ``pred_<tag>.png``.

    Args:
        folder: Where to.
        tag: End of the names.
        prediction: Of a batch; may change as soon as this returns.
        normalisation: That of the model.
        background: Where compressing and writing is done, which takes a quarter of a second for a texture of 1024; here
            and now when absent.
    """
    pictures = {"pred_tex": texture_picture(prediction.texture[-1], normalisation)}
    if prediction.target_texture is not None and prediction.mask is not None:
        pictures["gt_tex"] = texture_picture(prediction.target_texture[-1], normalisation, prediction.mask[-1])
    if prediction.image is not None and prediction.photo is not None:
        pictures["pred"] = linear_picture(prediction.image[-1])
        pictures["gt"] = linear_picture(prediction.photo[-1])
    for name, picture in pictures.items():
        path = folder / f"{name}_{tag}.png"
        if background is None:
            _write_linear(path, picture)
        else:
            background.add(_write_linear, path, picture)


def _write_linear(path: Path, picture: np.ndarray) -> None:
    write_image(path, to_display(picture))


def texture_picture(texture: torch.Tensor, normalisation: Normalisation, mask: torch.Tensor | None = None) -> np.ndarray:
    """(T, T, 3) uint8 linear, rows as in a texture file, of a normalised (3, T, T) texture; masked texels are black."""
    linear = normalisation.denormalise_texture(texture.detach()[None])[0] / 255.0
    return flip_rows(linear_picture(linear if mask is None else linear * mask))


def linear_picture(image: torch.Tensor) -> np.ndarray:
    """(H, W, 3) uint8 linear of a (3, H, W) picture in 0..1; values outside are clamped."""
    values = (image.detach().clamp(0, 1) * 255.0).round().to(torch.uint8)
    return np.ascontiguousarray(values.permute(1, 2, 0).cpu().numpy())
