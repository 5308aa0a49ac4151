"""Decoding many codes one after the other: weights worked out once, and on GPUs one recorded CUDA graph for a whole pass."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from multiface.core.errors import ArgumentError
from multiface.models import forms
from multiface.models.inputs import check_camera_indices, check_latent
from multiface.models.layers import WeightNormalised
from multiface.models.model import FaceModel
from multiface.models.output import Decoded

Recorder = Callable[[Callable[[], Decoded]], Callable[[], Decoded]]


def fast_decoder(model: FaceModel, batch: int = 1, *, bf16: bool | None = None) -> FastDecoder:
    """A decoder of up to ``batch`` codes at a time, for use and not for training: no gradients.

    Values are those of ``model.decode`` within rounding: textures to 1e-4 (where PyTorch's convolutions use TF32, as by default
    on GPUs, to 0.3 % of their standard deviation; in bfloat16 to about 1 %) and vertices to 1e-5, both normalised.

    Args:
        model: Where it is, the decoder runs. Later changes of its parameters are not followed.
        batch: Codes per call at most; on GPUs each call takes the time of that many.
        bf16: Whether convolutions run in bfloat16; by default on GPUs that have it.

    Raises:
        ArgumentError: ``batch`` is not positive.
    """
    if batch < 1:
        raise ArgumentError("a decoder needs room for at least one code", found=batch)
    device = next(model.parameters()).device
    on_gpu = device.type == "cuda"
    if bf16 is None:
        bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return FastDecoder(model, batch, bf16, record_cuda_graph if on_gpu else None)


class FastDecoder:
    """Made by :func:`fast_decoder`; call it like ``model.decode``."""

    def __init__(self, model: FaceModel, batch: int, bf16: bool, record: Recorder | None) -> None:
        self.info = model.info
        self._model = copy.deepcopy(model).eval().requires_grad_(False)
        self._device = next(model.parameters()).device
        self._bf16 = bf16
        self._record = record
        dtype = torch.bfloat16 if bf16 else torch.float32
        with forms.forced():
            for layer in [*self._model.dec.modules(), *(self._model.warp.modules() if self._model.warp else ())]:
                if isinstance(layer, WeightNormalised):
                    layer.prepare(dtype)
        # Addresses that recordings read from; rows that a call leaves alone hold valid values.
        self._z = torch.zeros(batch, model.nlatent, device=self._device)
        self._view = torch.zeros(batch, 3, device=self._device)
        self._cams = torch.zeros(batch, dtype=torch.int64, device=self._device)
        self._recorded: dict[bool, Callable[[], Decoded]] = {}

    @torch.no_grad()
    def __call__(self, z: Tensor, view: Tensor, cams: Tensor | None = None) -> Decoded:
        """Decode up to ``batch`` codes; arguments and result as :meth:`FaceModel.decode`.

        On GPUs the result lies where the next call will write: copy what is to be kept.

        Raises:
            ArgumentError: shapes that do not fit, or too many codes.
        """
        check_latent(self.info, z, view)
        if cams is not None:
            check_camera_indices(cams, z.shape[0], self.info.n_cams)
        if self._record is None:
            return self._decode(z, view, cams)
        if len(z) > len(self._z):
            raise ArgumentError("too many codes for this decoder", expected=f"up to {len(self._z)}", found=len(z))
        self._z[: len(z)].copy_(z, non_blocking=True)
        self._view[: len(z)].copy_(view, non_blocking=True)
        if cams is not None:
            self._cams[: len(z)].copy_(cams, non_blocking=True)
        return _first(self._repeat(cams is not None)(), len(z))

    def _repeat(self, corrected: bool) -> Callable[[], Decoded]:
        if corrected not in self._recorded:

            def work() -> Decoded:
                return self._decode(self._z, self._view, self._cams if corrected else None)

            try:
                self._recorded[corrected] = work if self._record is None else self._record(work)
            except RuntimeError as error:
                warnings.warn(f"decoding is not recorded as a CUDA graph: {error}", RuntimeWarning, stacklevel=3)
                self._recorded[corrected] = work
        return self._recorded[corrected]

    def _decode(self, z: Tensor, view: Tensor, cams: Tensor | None) -> Decoded:
        with forms.forced(), torch.autocast(self._device.type, torch.bfloat16) if self._bf16 else nullcontext():
            return self._model.decode(z, view, cams)


def record_cuda_graph(work: Callable[[], Decoded], warm_up: int = 3) -> Callable[[], Decoded]:
    """Run ``work`` a few times, so that libraries choose their kernels, then record it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), _fastest_convolutions():
        for _ in range(warm_up):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), _fastest_convolutions():
        result = work()

    def repeat() -> Decoded:
        graph.replay()
        return result

    return repeat


@contextmanager
def _fastest_convolutions() -> Iterator[None]:
    """Find the fastest way of each convolution by trying; whether TF32 is allowed stays as it was chosen."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _first(decoded: Decoded, count: int) -> Decoded:
    """Rows 0 .. count - 1."""
    optional = (decoded.unwarped_texture, decoded.grid)
    return Decoded(decoded.texture[:count], decoded.vertices[:count], *(None if x is None else x[:count] for x in optional))
