"""The five published variants of the network and the sizes it can be built in."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import Any

from multiface.core.errors import ArgumentError

TEXTURE_SIZES = (256, 512, 1024, 2048)
"""512 and 1024 are the published sizes; 256 and 2048 follow the same rule."""

TEXELS_PER_FEATURE = 256
"""The texture encoder and decoder change the resolution by 4 in each of four blocks."""

LARGEST_MESH_INPUT = 30_000_000
LARGEST_LATENT = 65_536
LARGEST_CAMERA_COUNT = 1_000_000


@dataclass(frozen=True)
class Architecture:
    """What sets one variant apart from ``base``.

    Attributes:
        name: Name on the command line and in checkpoints.
        residual: Residual 3x3 convolutions after every convolution of the texture encoder and decoder.
        per_texel_bias: Decoder biases per texel; otherwise one per channel.
        nearest_upsampling: Value repetition and a 3x3 convolution in place of the transposed convolution.
        warp_field: A second decoder predicts a field that resamples the texture.
    """

    name: str
    residual: bool = False
    per_texel_bias: bool = True
    nearest_upsampling: bool = False
    warp_field: bool = False


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture("base"),
        Architecture("res", residual=True),
        Architecture("warp", warp_field=True),
        Architecture("non", per_texel_bias=False),
        Architecture("bilinear", nearest_upsampling=True),
    )
}
"""``bilinear`` is the published name; its upsampling is nearest neighbour all the same."""


@dataclass(frozen=True)
class Sizes:
    """Everything that, with the architecture, fixes the shape of every parameter.

    Attributes:
        tex_size: Height and width T of the texture, texels.
        mesh_inp_size: 3 x number of vertices.
        nlatent: Length Z of the latent code.
        n_cams: Number C of cameras in the colour correction, the fixed one included.

    Raises:
        ArgumentError: a size that no model can have.
    """

    tex_size: int = 1024
    mesh_inp_size: int = 21918
    nlatent: int = 256
    n_cams: int = 38

    def __post_init__(self) -> None:
        if _whole_number("tex_size", self.tex_size) not in TEXTURE_SIZES:
            raise ArgumentError(
                "tex_size is not a size the networks can have",
                expected="one of " + ", ".join(map(str, TEXTURE_SIZES)),
                found=self.tex_size,
            )
        _check_range("mesh_inp_size", self.mesh_inp_size, LARGEST_MESH_INPUT)
        _check_range("nlatent", self.nlatent, LARGEST_LATENT)
        _check_range("n_cams", self.n_cams, LARGEST_CAMERA_COUNT)
        if self.mesh_inp_size % 3:
            raise ArgumentError(
                "mesh_inp_size counts coordinates", expected="a multiple of 3 (3 x vertices)", found=self.mesh_inp_size
            )

    @property
    def feature_size(self) -> int:
        """Side s of the smallest feature map: 1, 2, 4 or 8."""
        return self.tex_size // TEXELS_PER_FEATURE


def find_architecture(name: str) -> Architecture:
    """The architecture called ``name``.

    Raises:
        ArgumentError: there is none; the message lists those there are.
    """
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise ArgumentError("unknown architecture", expected="one of " + ", ".join(ARCHITECTURES), found=repr(name))
    return ARCHITECTURES[name]


def _whole_number(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError:
        raise ArgumentError(f"{name} must be a whole number", found=repr(value)) from None


def _check_range(name: str, value: Any, largest: int) -> None:
    if not 1 <= _whole_number(name, value) <= largest:
        raise ArgumentError(f"{name} is out of range", expected=f"1 to {largest}", found=value)
