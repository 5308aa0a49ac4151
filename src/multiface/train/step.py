"""The one place where networks and pictures meet: from a batch to predictions and loss terms.

Training, testing and showing all go through :class:`Step`, so that they measure the same thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from multiface import losses
from multiface.data import Batch, Normalisation
from multiface.geometry import Topology
from multiface.models import FaceModel, kl_divergence
from multiface.render import render_mesh, screen_loss

NetworkTerms = tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]


class Network(NamedTuple):
    """What can be compiled of a step: :meth:`Step.texture_code` and :meth:`Step.network_terms`, or other forms of them.

    A compiled piece gives all gradients of its parameters at its end. Those of the second, nearly all bytes, are thus there
    while the first still computes its own, and several processes can average them meanwhile.
    """

    texture_code: Callable[[torch.Tensor], torch.Tensor]
    terms: Callable[..., NetworkTerms]


@dataclass(frozen=True)
class ScreenSettings:
    """How predictions are rendered.

    Attributes:
        interpolation: ``"affine"`` as published, or ``"perspective"``.
        weight: (1 or 3, h, w) float weight image in texture space, 0..1, row 0 at v = 0; None weighs every texel 1.
        detach_weight: Whether the rendered weight passes no gradient to the mesh (published: it does).
    """

    interpolation: Literal["affine", "perspective"] = "affine"
    weight: torch.Tensor | None = None
    detach_weight: bool = False


@dataclass
class Prediction:
    """What the model says about a batch of B views, and the targets it is compared with.

    Attributes:
        texture, target_texture, mask: (B, 3, T, T) normalised, row 0 at v = 0; mask 1 = seen. Target and mask are None
            when the batch has no camera textures.
        vertices, target_vertices: (B, V, 3) normalised.
        kl: Scalar.
        latent_mean: (B, Z).
        image: (B, 3, H, W) rendered picture, 0..1 linear, not clamped; None unless rendering was asked for.
        photo: (B, 3, H, W) photo, 0..1 linear; None unless rendering was asked for.
        weight: (B, 1 or 3, H, W) rendered weight, 0 on the background.
        covered: (B, H, W) bool, where a triangle is.
        grid: (B, T, T, 2) warp field of ``warp`` models.
    """

    texture: torch.Tensor
    target_texture: torch.Tensor | None
    mask: torch.Tensor | None
    vertices: torch.Tensor
    target_vertices: torch.Tensor
    kl: torch.Tensor
    latent_mean: torch.Tensor
    image: torch.Tensor | None = None
    photo: torch.Tensor | None = None
    weight: torch.Tensor | None = None
    covered: torch.Tensor | None = None
    grid: torch.Tensor | None = None


class Step:
    """A model with what is needed to feed it batches of a capture and to compare the outcome.

    Args:
        model: The network.
        normalisation: Means and standard deviations the model was trained with, on the model's device.
        topology: Triangles and uv of the meshes.
        camera_table: (K,) long: colour-correction index of each KRT position (see :func:`camera_table`).
        screen: Rendering settings.

    Attributes:
        noise: Gives the (B, Z) latent noise of a batch, called with B and Z; None for torch's global generator.
    """

    def __init__(
        self,
        model: FaceModel,
        normalisation: Normalisation,
        topology: Topology,
        camera_table: torch.Tensor,
        screen: ScreenSettings | None = None,
    ) -> None:
        self.model = model
        self.normalisation = normalisation
        self.topology = topology
        self.camera_table = camera_table
        self.screen = screen or ScreenSettings()
        self.noise: Callable[[int, int], torch.Tensor] | None = None

    def predict(self, batch: Batch, *, sample: bool, render: bool) -> Prediction:
        """Run the model on ``batch`` (already on the model's device).

        Args:
            batch: Views and their frames.
            sample: Draw latent noise (training, published protocol) instead of using the latent mean.
            render: Also render the predicted texture on the predicted mesh; needs photos in the batch.
        """
        normalisation = self.normalisation
        average, _ = normalisation.normalise_texture(batch.average)
        vertices = normalisation.normalise_vertices(batch.vertices)
        out = self.model(
            average,
            vertices,
            batch.view,
            self.camera_table[batch.camera_index],
            sample=sample,
            frame_of_view=batch.frame_of_view,
            noise=self.draw_noise(len(batch)) if sample else None,
        )
        target, mask = (None, None) if batch.texture is None else normalisation.normalise_texture(batch.texture)
        prediction = Prediction(
            texture=out.texture,
            target_texture=target,
            mask=mask,
            vertices=out.vertices,
            target_vertices=vertices[batch.frame_of_view],
            kl=out.kl,
            latent_mean=out.latent_mean,
            grid=out.grid,
        )
        if render and batch.photo is not None:
            self._render(prediction, batch.photo, batch.projection)
        return prediction

    def terms(self, prediction: Prediction) -> dict[str, torch.Tensor]:
        """The loss terms of a prediction: ``verts``, ``tex``, ``screen``, ``kl``; 0 where its data were not asked for."""
        nothing = prediction.kl.new_zeros(())
        terms = {
            "verts": losses.vertex_loss(prediction.vertices, prediction.target_vertices),
            "tex": nothing,
            "screen": nothing,
            "kl": prediction.kl,
        }
        if prediction.target_texture is not None and prediction.mask is not None:
            terms["tex"] = losses.texture_loss(prediction.texture, prediction.target_texture, prediction.mask)
        if prediction.image is not None and prediction.photo is not None and prediction.weight is not None:
            terms["screen"] = losses.screen_loss(
                prediction.image, prediction.photo, prediction.weight, float(self.normalisation.tex_std)
            )
        return terms

    def draw_noise(self, views: int) -> torch.Tensor:
        """(views, Z) normal noise for the latent codes of a batch."""
        if self.noise is not None:
            return self.noise(views, self.model.nlatent)
        return torch.randn(views, self.model.nlatent, device=self.camera_table.device)

    def training_terms(
        self, batch: Batch, *, screen: bool, noise: torch.Tensor | None = None, network: Network | None = None
    ) -> dict[str, torch.Tensor]:
        """The loss terms of ``batch`` with latent noise, as :meth:`predict` and :meth:`terms` give them; no picture is made.

        Args:
            batch: Views and their frames, on the model's device.
            screen: Whether pictures are compared; needs photos in the batch.
            noise: (B, Z); drawn when absent.
            network: Compiled forms of :attr:`network`.
        """
        screen = screen and batch.photo is not None
        noise = self.draw_noise(batch.n_views) if noise is None else noise
        cams = self.camera_table[batch.camera_index]
        network = network or self.network
        code = network.texture_code(batch.average)
        of_views = (batch.view, cams, batch.frame_of_view, batch.texture, noise)
        terms, vertices, texture = network.terms(code, batch.vertices, *of_views, screen)
        if screen and batch.photo is not None:
            terms = {**terms, "screen": self.screen_term(vertices, texture, batch.photo, batch.projection)}
        return terms

    @property
    def network(self) -> Network:
        """The two pieces as they are."""
        return Network(self.texture_code, self.network_terms)

    def texture_code(self, average: torch.Tensor) -> torch.Tensor:
        """(F, 256) code of the average textures of a batch, bytes in."""
        return self.model.enc.texture_code(self.normalisation.normalise_texture(average)[0])

    def network_terms(
        self,
        texture_code: torch.Tensor,
        vertices: torch.Tensor,
        view: torch.Tensor,
        cams: torch.Tensor,
        frame_of_view: torch.Tensor,
        target: torch.Tensor | None,
        noise: torch.Tensor,
        shown: bool,
    ) -> NetworkTerms:
        """All else between the bytes of a batch and its losses, except pictures: tensors in, tensors out.

        Args:
            texture_code: Of the batch's average textures.
            vertices, view, frame_of_view, target: Fields of the batch, ``target`` its textures.
            cams: (B,) rows of the colour correction.
            noise: (B, Z).
            shown: Whether pictures will be made.

        Returns:
            The terms, ``screen`` 0; the mesh (B, V, 3) in mm and the texture (B, 3, T, T) 0..1 to be rendered, or empty.
        """
        model, normalisation = self.model, self.normalisation
        normal = normalisation.normalise_vertices(vertices)
        mean, logstd = (x[frame_of_view] for x in model.enc.join(texture_code, normal))
        layout = torch.preserve_format if view.is_cuda else torch.contiguous_format
        decoded = model.decode(mean + logstd.exp() * noise, view, cams, layout)
        nothing = view.new_zeros(())
        terms = {
            "verts": losses.vertex_loss(decoded.vertices, normal[frame_of_view]),
            "tex": nothing,
            "screen": nothing,
            "kl": kl_divergence(mean, logstd),
        }
        if target is not None:
            terms["tex"] = losses.texture_loss(decoded.texture, *normalisation.normalise_texture(target))
        if not shown:
            return terms, nothing, nothing
        texture = normalisation.denormalise_texture(decoded.texture) / 255.0
        return terms, normalisation.denormalise_vertices(decoded.vertices), texture

    def screen_term(
        self, vertices: torch.Tensor, texture: torch.Tensor, photo: torch.Tensor, projection: torch.Tensor
    ) -> torch.Tensor:
        """The screen loss of meshes (B, V, 3) in mm and textures (B, 3, T, T) 0..1 against photos (B, H, W, 3) uint8."""
        return screen_loss(
            vertices,
            projection,
            self.topology,
            texture,
            photo,
            weight=self.screen.weight,
            tex_std=self.normalisation.tex_std,
            detach_weight=self.screen.detach_weight,
            interpolation=self.screen.interpolation,
        ).loss

    def _render(self, prediction: Prediction, photo: torch.Tensor, projection: torch.Tensor) -> None:
        size = (photo.shape[1], photo.shape[2])
        vertices = self.normalisation.denormalise_vertices(prediction.vertices)
        texture = self.normalisation.denormalise_texture(prediction.texture) / 255.0
        interpolation = self.screen.interpolation
        weight = None if self.screen.weight is None else self.screen.weight.expand(len(texture), -1, -1, -1)
        # One pass renders picture and weight together when their texel grids agree.
        together = weight is not None and weight.shape[-2:] == texture.shape[-2:]
        channels = torch.cat([texture, weight], dim=1) if weight is not None and together else texture
        shown = render_mesh(vertices, projection, self.topology, channels, size, interpolation=interpolation)
        covered = shown.triangle >= 0
        if weight is None:
            rendered_weight = covered[:, None].to(texture.dtype)
        elif together:
            rendered_weight = shown.image[:, 3:]
        else:
            rendered_weight = render_mesh(vertices, projection, self.topology, weight, size, interpolation=interpolation).image
        prediction.image = shown.image[:, :3]
        prediction.weight = rendered_weight.detach() if self.screen.detach_weight else rendered_weight
        prediction.covered = covered
        prediction.photo = photo.permute(0, 3, 1, 2).to(texture.dtype) / 255.0
