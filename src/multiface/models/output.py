"""What a model returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Decoded:
    """Appearance decoded from latent codes, everything normalised (see ``multiface.data.Normalisation``).

    Attributes:
        texture: (B, 3, T, T) texture as seen by each view, row 0 at v = 0, colour-corrected where cameras were given.
        vertices: (B, V, 3) mesh in head space.
        unwarped_texture: (B, 3, T, T) texture before warping, without colour correction; ``warp`` only, else None.
        grid: (B, T, T, 2) sampling grid (x, y) in -1..1; ``warp`` only, else None.
    """

    texture: Tensor
    vertices: Tensor
    unwarped_texture: Tensor | None
    grid: Tensor | None


@dataclass(frozen=True, eq=False)
class Output(Decoded):
    """The result of a whole pass: what was decoded, and the code it was decoded from.

    Attributes:
        kl: Scalar divergence of the latent distribution from the unit normal one, averaged over views and latent
            dimensions (Kingma and Welling 2014, appendix B, as a mean instead of a sum).
        latent_mean: (B, Z) mean of the latent distribution of each view.
    """

    kl: Tensor
    latent_mean: Tensor
