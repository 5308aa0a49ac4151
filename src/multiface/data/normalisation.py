"""From 8-bit textures and millimetres to what networks see, and back; on any device."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F

from multiface.capture import Statistics
from multiface.core.errors import ArgumentError, FormatError

MissingRule = Literal["channel", "any", "all"]
_RULES: tuple[MissingRule, ...] = ("channel", "any", "all")


class Normalisation:
    """Statistics of a capture as tensors, for textures of one size.

    Args:
        statistics: Mean texture, mean mesh and the two variances.
        texture_size: T, side of the normalised textures; files may have another size (that of ``statistics.tex_mean``).
        missing: Which texels of a file count as missing: "channel" (published: each channel that is exactly zero, by
            itself), "any" (all channels of a texel with a zero channel), "all" (only texels that are zero in every channel).

    Attributes:
        texture_size: T.
        tex_mean: (3, T, T) float32, 0..255, linear, row 0 at v = 0.
        tex_std: scalar float32 tensor, same units.
        vert_mean: (V, 3) float32, head space, millimetres.
        vert_std: scalar float32 tensor, millimetres.

    A variance of zero (a capture of one constant frame) is taken as 1, so that nothing is divided by zero.

    Raises:
        ArgumentError: the texture size is not positive, or the rule is unknown.
        FormatError: a variance is negative or not finite.
    """

    def __init__(self, statistics: Statistics, texture_size: int, missing: MissingRule = "channel") -> None:
        mean = torch.as_tensor(statistics.tex_mean).flip(0).permute(2, 0, 1).contiguous()
        vertices = torch.as_tensor(statistics.vert_mean).float().reshape(-1, 3)
        tex_std, vert_std = (_std(variance) for variance in (statistics.tex_var, statistics.vert_var))
        self._set(mean, torch.tensor(tex_std), vertices, torch.tensor(vert_std), texture_size, missing)

    def _set(
        self,
        native_mean: torch.Tensor,
        tex_std: torch.Tensor,
        vert_mean: torch.Tensor,
        vert_std: torch.Tensor,
        texture_size: int,
        missing: MissingRule,
    ) -> None:
        if texture_size < 1:
            raise ArgumentError("texture size must be positive", found=texture_size)
        if missing not in _RULES:
            raise ArgumentError("unknown rule for missing texels", expected=", ".join(_RULES), found=missing)
        self.texture_size = texture_size
        self.missing: MissingRule = missing
        self._native_mean = native_mean
        self.tex_mean = resize_texture(native_mean[None].float(), texture_size)[0]
        self.tex_std, self.vert_mean, self.vert_std = tex_std, vert_mean, vert_std

    def state(self) -> dict[str, torch.Tensor]:
        """All of it as plain CPU tensors, for a checkpoint; :meth:`from_state` is the inverse."""
        state = {
            "tex_mean": self._native_mean,
            "tex_std": self.tex_std,
            "vert_mean": self.vert_mean,
            "vert_std": self.vert_std,
            "texture_size": torch.tensor(self.texture_size),
            "missing_rule": torch.tensor(_RULES.index(self.missing)),
        }
        return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}

    @classmethod
    def from_state(cls, state: dict[str, torch.Tensor]) -> Normalisation:
        """Rebuild from :meth:`state`.

        Raises:
            FormatError: a tensor is missing or has the wrong shape.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        mean, vertices = shapes.get("tex_mean", ()), shapes.get("vert_mean", ())
        scalars = ("tex_std", "vert_std", "texture_size", "missing_rule")
        fits = len(mean) == 3 and mean[0] == 3 and mean[1] == mean[2] and len(vertices) == 2 and vertices[1] == 3
        if not fits or any(name not in state or state[name].numel() != 1 for name in scalars):
            raise FormatError(
                "these are not normalisation statistics",
                expected="tex_mean (3, T, T), vert_mean (V, 3) and the scalars " + ", ".join(scalars),
                found=shapes,
            )
        rule = int(state["missing_rule"])
        if not 0 <= rule < len(_RULES):
            raise FormatError("unknown rule for missing texels", expected=f"0..{len(_RULES) - 1}", found=rule)
        self = cls.__new__(cls)
        stds = (state[name].float().reshape(()) for name in ("tex_std", "vert_std"))
        tex_std, vert_std = stds
        self._set(state["tex_mean"], tex_std, state["vert_mean"].float(), vert_std, int(state["texture_size"]), _RULES[rule])
        return self

    def to(self, device: torch.device | str) -> Normalisation:
        """The same on another device."""
        moved = Normalisation.__new__(Normalisation)
        moved.texture_size, moved.missing = self.texture_size, self.missing
        for name in ("_native_mean", "tex_mean", "tex_std", "vert_mean", "vert_std"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def normalise_texture(self, texture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalise textures as they come from files.

        Args:
            texture: (B, T0, T0, 3) uint8, rows as in the file (row 0 at v = 1), T0 that of the capture's mean texture.

        Returns:
            n (B, 3, T, T) float32 in standard deviations about the mean, missing texels at 0 (the mean colour), row 0 at
            v = 0; and mask (B, 3, T, T) float32, 1 where valid, between 0 and 1 where a resize mixes both.

        Raises:
            ArgumentError: type or size do not fit.
        """
        native = self._native_mean.shape[-1]
        if texture.dtype != torch.uint8 or texture.ndim != 4 or texture.shape[1:] != (native, native, 3):
            raise ArgumentError(
                "textures do not fit the mean texture",
                expected=f"uint8 (B, {native}, {native}, 3)",
                found=f"{texture.dtype} {tuple(texture.shape)}",
                remedy="Textures and statistics have to be made together, with: multiface unwrap CAPTURE",
            )
        texture = texture.flip(1).permute(0, 3, 1, 2)
        if not texture.is_cuda:  # there, as it lies in memory: networks and losses run over channels last
            texture = texture.contiguous()
        missing = self._missing(texture)
        n = ((texture.float() - self._native_mean.float()) / self.tex_std).masked_fill_(missing, 0.0)
        return resize_texture(n, self.texture_size), 1.0 - resize_texture(missing.float(), self.texture_size)

    def denormalise_texture(self, n: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, T) in 0..255 (linear, not clamped) of normalised textures, row 0 at v = 0."""
        return n * self.tex_std + self.tex_mean

    def normalise_vertices(self, vertices: torch.Tensor) -> torch.Tensor:
        """(B, V, 3) in standard deviations about the mean mesh, of head-space millimetres."""
        return (vertices - self.vert_mean) / self.vert_std

    def denormalise_vertices(self, n: torch.Tensor) -> torch.Tensor:
        """(B, V, 3) head-space millimetres of normalised vertices."""
        return n * self.vert_std + self.vert_mean

    def _missing(self, texture: torch.Tensor) -> torch.Tensor:
        zero = texture == 0
        if self.missing == "channel":
            return zero
        whole = zero.any(dim=1, keepdim=True) if self.missing == "any" else zero.all(dim=1, keepdim=True)
        return whole.expand_as(zero)


def resize_texture(texture: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear resize of (B, C, h, w) to (B, C, size, size) with half-pixel centres and no anti-aliasing, as OpenCV's
    INTER_LINEAR; the tensor itself when it has that size already."""
    if texture.shape[-2:] == (size, size):
        return texture
    return F.interpolate(texture, (size, size), mode="bilinear", align_corners=False, antialias=False)


def _std(variance: float) -> float:
    if not math.isfinite(variance) or variance < 0:
        raise FormatError("a variance cannot be used", expected="a finite number, not negative", found=variance)
    return math.sqrt(variance) or 1.0
