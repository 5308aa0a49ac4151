"""Our batched metrics against torchmetrics', and LPIPS from weights that are already there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multiface.core.errors import FormatError
from multiface.evaluate import perceptual, similarity
from multiface.evaluate.metrics import masked_psnr, masked_ssim
from multiface.evaluate.similarity import similarity_map


def pictures(batch: int = 3, height: int = 40, width: int = 33) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.nn.functional.avg_pool2d(torch.rand(batch, 3, height + 4, width + 4, generator=generator), 5, 1) * 400 - 100
    target = target.clamp(0, 255)
    noise = torch.randn(target.shape, generator=generator) * torch.tensor([1.0, 8.0, 30.0])[:batch, None, None, None]
    return (target + noise).clamp(0, 255), target


def test_similarity_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    prediction, target = pictures()
    _, theirs = structural_similarity_index_measure(
        prediction, target, data_range=255.0, reduction="none", return_full_image=True
    )
    ours = similarity_map(prediction, target, 255.0)
    assert (ours - theirs).abs().max() < 2e-4
    assert (ours.mean((1, 2, 3)) - theirs.mean((1, 2, 3))).abs().max() < 1e-5


def test_psnr_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    prediction, target = pictures()
    whole = torch.ones(3, *target.shape[-2:])
    theirs = peak_signal_noise_ratio(prediction, target, data_range=255.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(masked_psnr(prediction, target, whole), theirs, rtol=1e-5, atol=1e-4)


def test_pieces_of_a_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, target = pictures()
    mask = torch.zeros(3, 40, 33)
    mask[:, 5:30, 4:28] = 1
    whole = masked_ssim(prediction, target, mask)
    monkeypatch.setattr(similarity, "_AT_ONCE", 1)
    torch.testing.assert_close(masked_ssim(prediction, target, mask), whole)
    assert whole[0] > whole[1] > whole[2]


def random_alexnet() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    network = perceptual._alexnet_features()
    return {
        f"features.{name}": torch.randn(value.shape, generator=generator) / max(value[0].numel(), 16) ** 0.5
        for name, value in network.state_dict().items()
    }


def test_lpips_is_zero_for_equal_pictures_and_grows_with_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "alexnet.pth"
    torch.save(random_alexnet(), path)
    distance = perceptual.load_perceptual(path, torch.device("cpu"))
    assert distance is not None
    prediction, target = (picture / 255 for picture in pictures(height=64, width=64))
    values = distance(prediction, target)
    assert values.shape == (3,) and 0 < values[0] < values[1] < values[2]
    assert distance(target, target).abs().max() == 0
    torch.testing.assert_close(distance(prediction[1:2], target[1:2]), values[1:2])


def test_lpips_agrees_with_torchmetrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same random features; torchvision, which only builds them there, is stood in for."""
    import sys
    from types import SimpleNamespace

    import torchmetrics.functional.image.lpips as theirs

    torch.save(random_alexnet(), tmp_path / "alexnet.pth")
    ours = perceptual.load_perceptual(tmp_path / "alexnet.pth", torch.device("cpu"))
    assert ours is not None
    network = SimpleNamespace(features=ours._network)
    models = SimpleNamespace(alexnet=lambda *_, **__: network, AlexNet_Weights=SimpleNamespace(IMAGENET1K_V1=None))
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    monkeypatch.setattr(theirs, "_TORCHVISION_AVAILABLE", True)
    reference = theirs._LPIPS(pretrained=True, net="alex", pnet_rand=True)
    prediction, target = (picture / 255 for picture in pictures(height=70, width=64))
    with torch.no_grad():
        wanted = reference(2 * prediction - 1, 2 * target - 1).flatten()
    torch.testing.assert_close(ours(prediction, target), wanted, rtol=1e-5, atol=1e-7)


def test_lpips_without_weights_is_left_out_and_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert perceptual.load_perceptual(None, torch.device("cpu")) is None
    assert not list(tmp_path.iterdir())


def test_lpips_weights_that_are_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"nothing of the kind")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save(random_alexnet(), tmp_path / perceptual.WEIGHTS_NAME)
    for name, message in (("weights.pth", "weights"), ("other.pth", "not AlexNet"), (perceptual.WEIGHTS_NAME, "damaged")):
        with pytest.raises(Exception, match=message) as refused:
            perceptual.load_perceptual(tmp_path / name, torch.device("cpu"))
        assert name in str(refused.value)
    with pytest.raises(FormatError, match="absent"):
        perceptual.load_perceptual(tmp_path / "absent.pth", torch.device("cpu"))
