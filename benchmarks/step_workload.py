"""A training step to be measured: network, optimisers and a batch made of one frame; and the least it can cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from multiface.capture import Statistics
from multiface.data import Batch, Normalisation
from multiface.losses import LossWeights
from multiface.models import FaceModel, ModelInfo, build_model
from multiface.models.layers import NearestConv, NormalisedConv, NormalisedLinear, TransposedConv, UpsamplingUnit
from multiface.train.guard import BatchGuard
from multiface.train.optimisation import Optimisation
from multiface.train.step import ScreenSettings, Step
from multiface.train.update import Update
from render_workload import FULL_SIZE, Frame, load_frame

CAMERAS = 38
LATENT = 256
TEX_STD = 20.0
VERT_STD = 3.0
RATE = 3e-4
OPERATIONS_PER_S = 780e12
"""Of a large matrix product in bfloat16 on an H100 or H200 (measured)."""


@dataclass(frozen=True)
class StepOptions:
    """What is measured.

    Attributes:
        arch: Network.
        screen: Whether pictures of FULL_SIZE are compared.
        batch: Views.
        views_per_frame: How many of them share a frame.
        tex_size: Texels along a side.
        device: Where.
        folder: Of a real frame; None takes the head of the virtual stage.
    """

    arch: str = "base"
    screen: bool = False
    batch: int = 16
    views_per_frame: int = 1
    tex_size: int = 1024
    device: str = "cuda"
    folder: Path | None = None


def make_batch(options: StepOptions, frame: Frame) -> Batch:
    """Views of ``frame`` with noise, so that no two are alike; a tenth of the texels unseen."""
    device, size = torch.device(options.device), options.tex_size
    views, frames = options.batch, -(-options.batch // options.views_per_frame)
    random = torch.Generator(device).manual_seed(0)
    texture = (frame.texture * 255).to(device)
    if size != texture.shape[-1]:
        texture = nn.functional.interpolate(texture[None], size=(size, size), mode="area")[0]
    rows = texture.flip(1).permute(1, 2, 0)

    def pictures(count: int) -> torch.Tensor:
        noise = torch.randn(count, size, size, 3, generator=random, device=device)
        seen = torch.rand(count, size, size, 1, generator=random, device=device) > 0.1
        return ((rows + TEX_STD / 4 * noise).clamp(1, 255) * seen).byte()

    vertices = frame.vertices.to(device) + 0.2 * torch.randn(frames, *frame.vertices.shape, generator=random, device=device)
    return Batch(
        keys=(), cameras=("camera",) * views,
        frame_of_view=torch.arange(views, device=device) // options.views_per_frame,
        average=pictures(frames), vertices=vertices, head_pose=torch.zeros(frames, 3, 4, device=device),
        texture=pictures(views),
        photo=frame.photo.to(device).expand(views, -1, -1, -1).contiguous() if options.screen else None,
        camera_index=torch.arange(views, device=device) % CAMERAS,
        view=nn.functional.normalize(torch.randn(views, 3, generator=random, device=device), dim=1),
        projection=frame.projection.to(device).expand(views, -1, -1).contiguous(),
    )  # fmt: skip


def make_model(options: StepOptions, n_vertices: int) -> FaceModel:
    """The network on its device, channels last, as in training."""
    torch.manual_seed(0)
    model = build_model(options.arch, options.tex_size, 3 * n_vertices, LATENT, CAMERAS)
    return model.to(options.device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]


def make_update(options: StepOptions, frame: Frame, *, bf16: bool, compiled: bool) -> Update:
    """Everything that one step needs."""
    model = make_model(options, len(frame.vertices))
    device = torch.device(options.device)
    size = options.tex_size
    mean = nn.functional.interpolate(frame.texture[None] * 255, size=(size, size), mode="area")[0]
    statistics = Statistics(
        tex_mean=np.ascontiguousarray(mean.flip(1).permute(1, 2, 0).round().clamp(0, 255).byte().numpy()),
        tex_var=TEX_STD**2,
        vert_mean=frame.vertices.numpy(),
        vert_var=VERT_STD**2,
    )
    normalisation = Normalisation(statistics, size).to(device)
    table = torch.arange(CAMERAS, device=device)
    screen = ScreenSettings("affine", frame.weight.to(device))
    step = Step(model, normalisation, frame.topology, table, screen)
    weights = LossWeights(screen=1.0 if options.screen else 0.0)
    guard = BatchGuard(50.0, device)
    return Update(step, Optimisation(model, RATE), weights, guard, bf16=bf16, compiled=compiled)


def prepare(options: StepOptions) -> tuple[Frame, Batch]:
    """The frame, and a batch of it on the device."""
    frame = load_frame(options.folder)
    return frame, make_batch(options, frame)


def floor(options: StepOptions, n_vertices: int, bytes_per_s: float) -> dict[str, float]:
    """The least a step can cost: bytes to and from memory, operations, and milliseconds at the rates
    of this device (``bytes_per_s``: of a copy, reading and writing counted) and above.

    Every activation in bfloat16 is written and read once on the way forward; on the way back it is read once, its gradient
    written and read once. Of each parameter: read twice, gradient written, and 28 bytes for Adam. The batch is read as bytes,
    its textures twice. Pictures: photos once, the texture's gradient written and read in float32.
    """
    counted = {"activations": 0, "operations": 0}
    model = _meta_model(options, n_vertices)
    handles = [
        layer.register_forward_hook(lambda layer, inputs, out: _count(counted, layer, out))
        for layer in model.modules()
        if isinstance(layer, (NormalisedLinear, NormalisedConv, TransposedConv, UpsamplingUnit, nn.Conv2d))
    ]
    views, frames = options.batch, -(-options.batch // options.views_per_frame)
    with torch.device("meta"):
        average, vertices = torch.empty(frames, 3, options.tex_size, options.tex_size), torch.empty(frames, n_vertices, 3)
        model.encode(average, vertices)
        model.decode(torch.empty(views, LATENT), torch.empty(views, 3))
    for handle in handles:
        handle.remove()
    texels = 3 * options.tex_size**2
    moved = 10 * counted["activations"] + 40 * sum(p.numel() for p in model.parameters()) + texels * (frames + 2 * views)
    if options.arch == "warp":  # texture and grid in float32, both ways
        moved += views * (texels * 4 * 3 + 2 * options.tex_size**2 * 4 * 4)
    if options.screen:
        moved += views * (3 * FULL_SIZE[0] * FULL_SIZE[1] + 12 * texels)
    times = moved / bytes_per_s, 3 * counted["operations"] / OPERATIONS_PER_S
    return {"bytes": moved, "operations": 3 * counted["operations"], "ms": 1e3 * max(times)}


def decoder_floor(options: StepOptions, n_vertices: int, bytes_per_s: float) -> dict[str, float]:
    """The same for decoding one code: weights read once (kernels in bfloat16), activations written and read."""
    counted = {"activations": 0, "operations": 0}
    model = _meta_model(replace(options, batch=1), n_vertices)
    for layer in model.modules():
        if isinstance(layer, (NormalisedLinear, NormalisedConv, TransposedConv, UpsamplingUnit, nn.Conv2d)):
            layer.register_forward_hook(lambda layer, inputs, out: _count(counted, layer, out))
    with torch.device("meta"):
        model.decode(torch.empty(1, LATENT), torch.empty(1, 3))
    kernels = sum(p.numel() for p in [*model.dec.parameters(), *(model.warp.parameters() if model.warp else ())])
    moved = 4 * kernels + 4 * counted["activations"] + 12 * options.tex_size**2
    return {"bytes": moved, "operations": counted["operations"], "ms": 1e3 * moved / bytes_per_s}


def _meta_model(options: StepOptions, n_vertices: int) -> FaceModel:
    with torch.device("meta"):
        return FaceModel(ModelInfo(options.arch, options.tex_size, 3 * n_vertices, LATENT, CAMERAS)).to("meta")


def _count(counted: dict[str, int], layer: nn.Module, out: Any) -> None:
    if isinstance(layer, UpsamplingUnit):
        return  # its convolution was counted
    counted["activations"] += out.numel()
    weight = layer.get_parameter("weight")
    if isinstance(layer, (TransposedConv, NearestConv)):
        taps = 4 * weight[:, :, 0, 0].numel()  # four taps reach each output, in either form
        counted["operations"] += 2 * taps * out[:, 0].numel()
    else:
        counted["operations"] += 2 * weight[0].numel() * out.numel()
