"""The conditional variational auto-encoder (deep appearance model, Lombardi et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multiface.models.architecture import Sizes, find_architecture
from multiface.models.colour import ColourCorrection
from multiface.models.decoder import Decoder
from multiface.models.encoder import Encoder
from multiface.models.info import ModelInfo
from multiface.models.inputs import check_camera_indices, check_frames, check_latent, check_views
from multiface.models.output import Decoded, Output
from multiface.models.warp import WarpField, resample


class FaceModel(nn.Module):
    """A face of one person: average texture and mesh in, texture as seen from a view and mesh out.

    Made by :func:`multiface.models.build_model` and :func:`multiface.models.load_model`; the constructor leaves the
    parameters unset. Textures and meshes are normalised on both sides.

    ``model.to(memory_format=torch.channels_last)`` changes no value and makes training faster, on CPUs by a fifth.

    Attributes:
        info: What is known of the model; :class:`ModelInfo`.
        arch, tex_size, mesh_inp_size, nlatent, n_cams: as in ``info``.
    """

    warp: WarpField | None

    def __init__(self, info: ModelInfo) -> None:
        super().__init__()
        architecture, sizes = find_architecture(info.arch), Sizes(**info.sizes())
        self.info = info
        self.arch = info.arch
        self.tex_size = info.tex_size
        self.mesh_inp_size = info.mesh_inp_size
        self.nlatent = info.nlatent
        self.n_cams = info.n_cams
        # The order of the sub-modules is that of the keys in published checkpoints; ``warp`` begins with ``cc`` there.
        if architecture.warp_field:
            self.cc = ColourCorrection(sizes.n_cams)
        self.enc = Encoder(architecture, sizes)
        self.dec = Decoder(architecture, sizes)
        if not architecture.warp_field:
            self.cc = ColourCorrection(sizes.n_cams)
        self.warp = WarpField(sizes) if architecture.warp_field else None

    def forward(
        self,
        avg_tex: Tensor,
        verts: Tensor,
        view: Tensor,
        cams: Tensor | None = None,
        sample: bool = False,
        frame_of_view: Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Output:
        """Reconstruct B views of F frames.

        Args:
            avg_tex: (F, 3, T, T) float, normalised average texture of each frame, row 0 at v = 0.
            verts: (F, V, 3) float, normalised vertices of each frame.
            view: (B, 3) float, unit vectors from the head origin to the camera, head space.
            cams: (B,) integer index of each view's camera in the colour correction; None leaves the correction out.
            sample: Draw the latent code from its distribution (what the published system always does) instead of
                taking its mean.
            frame_of_view: (B,) int64, the row of ``avg_tex`` and ``verts`` that each view belongs to; without it every
                view has its own row (F = B). Frames are encoded once, however many views they have.
            generator: Source of the noise; torch's global one by default.
            noise: (B, Z) normal noise to use instead of drawing it.

        Raises:
            ArgumentError: shapes that do not fit the model or each other; on the CPU also indices out of range.
        """
        check_frames(self.info, avg_tex, verts)
        check_views(view, avg_tex.shape[0], frame_of_view)
        mean, logstd = self.encode(avg_tex, verts)
        if frame_of_view is not None:
            mean, logstd = mean[frame_of_view], logstd[frame_of_view]
        z = mean
        if sample:
            if noise is None:
                noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
            z = mean + logstd.exp() * noise
        decoded = self.decode(z, view, cams)
        return Output(
            texture=decoded.texture,
            vertices=decoded.vertices,
            unwarped_texture=decoded.unwarped_texture,
            grid=decoded.grid,
            kl=kl_divergence(mean, logstd),
            latent_mean=mean,
        )

    def encode(self, avg_tex: Tensor, verts: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (F, Z) and log standard deviation (F, Z) of the latent codes of F frames; arguments as in ``forward``."""
        check_frames(self.info, avg_tex, verts)
        return self.enc(avg_tex, verts)

    def decode(
        self,
        z: Tensor,
        view: Tensor,
        cams: Tensor | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> Decoded:
        """Texture and mesh of B latent codes ``z`` (B, Z) seen from ``view`` (B, 3) by ``cams`` (B,), as in ``forward``.

        ``torch.preserve_format`` as ``memory_format`` leaves the texture in that of the network, for those who do not care.
        """
        check_latent(self.info, z, view)
        if cams is not None:
            check_camera_indices(cams, z.shape[0], self.n_cams)
        texture, vertices = self.dec(z, view)
        # Whatever the memory format of the parameters, and not in the half precision of autocast.
        texture = texture.to(torch.promote_types(texture.dtype, torch.float32), memory_format=memory_format)
        unwarped, grid = None, None
        if self.warp is not None:
            unwarped, grid = texture, self.warp(z)
            texture = resample(unwarped, grid)
        if cams is not None:
            texture = self.cc(texture, cams)
        return Decoded(texture, vertices, unwarped, grid)

    def main_parameters(self) -> list[nn.Parameter]:
        """Parameters of encoder, decoder and warp field: the published "model group"."""
        modules = [self.enc, self.dec] + ([self.warp] if self.warp is not None else [])
        return [parameter for module in modules for parameter in module.parameters()]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the encoder."""
        return list(self.enc.parameters())

    def parameter_stages(self) -> list[list[nn.Parameter]]:
        """Trainable parameters in two stages: those that a backward pass can finish first, and those of the texture encoder.

        Its own pass is long and its parameters are few, a twentieth of all.
        """
        last = [*self.enc.texture_encoder.parameters(), *self.enc.texture_fc.parameters()]
        known = {id(parameter) for parameter in last}
        first = [parameter for parameter in self.parameters() if id(parameter) not in known]
        return [[parameter for parameter in stage if parameter.requires_grad] for stage in (first, last)]

    def colour_parameters(self) -> list[nn.Parameter]:
        """Trainable parameters of the colour correction; the anchor's are fixed and not among them."""
        return [parameter for parameter in self.cc.parameters() if parameter.requires_grad]


def kl_divergence(mean: Tensor, logstd: Tensor) -> Tensor:
    """Scalar: divergence of N(mean, exp(logstd)^2) from N(0, 1), averaged over all entries."""
    return 0.5 * (torch.exp(2.0 * logstd) + mean.square() - 1.0 - 2.0 * logstd).mean()
