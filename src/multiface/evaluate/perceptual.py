"""LPIPS, the learned perceptual distance, where its weights are already on this machine.

Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018, version
0.1 with AlexNet: features of five layers, normalised over channels, squared differences weighed and averaged over pixels.
The weighing comes with torchmetrics; the features are those of the AlexNet weights that PyTorch's model zoo distributes, which
are never downloaded here.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import nn

from multiface.core.errors import FormatError
from multiface.models.pickled import read_pickled_tensors

WEIGHTS_NAME = "alexnet-owt-7be5be79.pth"
"""Name in PyTorch's folder of downloads; the digits are the beginning of the file's SHA-256."""

_TAPS = (1, 4, 7, 9, 11)  # after which modules of the features the five layers end
_SIZE_LIMIT = 1 << 30
# What the published metric expects: pictures in -1..1, then shifted and scaled per channel.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


def find_weights(asked: Path | None) -> Path | None:
    """The file asked for, else the one in PyTorch's folder of downloads, else None."""
    if asked is not None:
        return asked
    usual = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_NAME
    return usual if usual.is_file() else None


class Perceptual:
    """LPIPS of pictures; larger is worse, 0 for equal ones.

    Args:
        features: State dict of AlexNet (``features.0.weight``...).
        lines: Five (1, C, 1, 1) weights of the layers' channels.
        device: Where to compute.
    """

    def __init__(self, features: dict[str, torch.Tensor], lines: list[torch.Tensor], device: torch.device) -> None:
        network = _alexnet_features()
        wanted = {name: features[f"features.{name}"] for name in network.state_dict()}
        network.load_state_dict(wanted)
        self._network = network.to(device).eval().requires_grad_(False)
        self._lines = [line.to(device) for line in lines]
        self._shift, self._scale = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (_SHIFT, _SCALE))

    @torch.no_grad()
    def __call__(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B,) distances of pictures (B, 3, H, W) in 0..1 linear, at least 31 pixels each way."""
        layers = zip(self._layers(prediction), self._layers(target), self._lines)
        return torch.stack([((_unit(a) - _unit(b)).square() * line).sum(1).mean(dim=(1, 2)) for a, b, line in layers]).sum(0)

    def _layers(self, picture: torch.Tensor) -> list[torch.Tensor]:
        values, out = (2 * picture - 1 - self._shift) / self._scale, []
        for number, module in enumerate(self._network):
            values = module(values)
            if number in _TAPS:
                out.append(values)
        return out


def load_perceptual(asked: Path | None, device: torch.device) -> Perceptual | None:
    """LPIPS, or None where its weights are not on this machine.

    Raises:
        FormatError: the file is not AlexNet's weights.
    """
    path, lines = find_weights(asked), _lines_file()
    if path is None or lines is None:
        return None
    features, weighing = _read(path), _read(lines)
    try:
        return Perceptual(features, [weighing[f"lin{k}.model.1.weight"].float() for k in range(5)], device)
    except (KeyError, RuntimeError) as error:
        raise FormatError("these are not AlexNet weights", where=path, expected=WEIGHTS_NAME, found=str(error)[:120]) from error


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file() or path.stat().st_size > _SIZE_LIMIT:
        raise FormatError("perceptual weights cannot be read", where=path, expected=f"a file like {WEIGHTS_NAME}")
    if path.name == WEIGHTS_NAME and not _sha256(path).startswith(WEIGHTS_NAME.split("-")[-1].removesuffix(".pth")):
        raise FormatError("perceptual weights are damaged", where=path, remedy="Fetch the file again")
    return read_pickled_tensors(path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _lines_file() -> Path | None:
    """The weighing of channels inside the installed torchmetrics, without importing it."""
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"
    return path if path.is_file() else None


def _unit(features: torch.Tensor) -> torch.Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _alexnet_features() -> nn.Sequential:
    """The convolutions of AlexNet (Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014)."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
