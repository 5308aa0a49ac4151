"""The step that training, testing and showing share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from multiface.models import build_model
from multiface.train.cameras import camera_table
from multiface.train.config import TrainConfig
from multiface.train.setup import DataSetup, make_normalisation, open_data
from multiface.train.step import ScreenSettings, Step


@pytest.fixture(scope="module")
def data(trainable_capture: Path) -> DataSetup:
    return open_data(TrainConfig(data_dir=trainable_capture), photos=True)


@pytest.fixture(scope="module")
def batch(data: DataSetup):
    return next(iter(data.loader(data.train_index(None), 6, shuffle=False)))


def make_step(data: DataSetup, screen: ScreenSettings | None = None) -> Step:
    torch.manual_seed(0)
    capture, names = data.capture, tuple(data.capture.cameras)
    model = build_model("non", tex_size=256, mesh_inp_size=3 * capture.n_vertices, nlatent=8, n_cams=len(names))
    table, _ = camera_table(list(names), names, len(names))
    return Step(model, make_normalisation(capture, 256), capture.topology, table, screen)


def test_views_of_a_frame_share_its_targets(data: DataSetup, batch) -> None:
    prediction = make_step(data).predict(batch, sample=False, render=False)
    assert prediction.texture.shape == (6, 3, 256, 256)
    assert prediction.image is None
    for view, frame in enumerate(batch.frame_of_view.tolist()):
        first = batch.frame_of_view.tolist().index(frame)
        assert torch.equal(prediction.target_vertices[view], prediction.target_vertices[first])
        assert torch.allclose(prediction.vertices[view], prediction.vertices[first], atol=1e-6)


def test_without_a_weight_image_every_covered_pixel_weighs_one(data: DataSetup, batch) -> None:
    prediction = make_step(data).predict(batch, sample=False, render=True)
    assert prediction.image is not None and prediction.weight is not None and prediction.covered is not None
    assert 0.05 < prediction.covered.float().mean() < 0.95
    assert torch.equal(prediction.weight[:, 0], prediction.covered.float())
    assert (prediction.image * ~prediction.covered[:, None] == 0).all()


def test_a_weight_image_of_another_size_gives_what_one_of_the_same_size_gives(data: DataSetup, batch) -> None:
    # Periodic, since texture lookups wrap around; wide against a texel, so that both grids hold the same image.
    large, small = (0.5 - 0.5 * torch.cos(2 * torch.pi * (torch.arange(n) + 0.5) / n).expand(1, n, n) for n in (256, 128))
    same = make_step(data, ScreenSettings(weight=large)).predict(batch, sample=False, render=True)
    other = make_step(data, ScreenSettings(weight=small)).predict(batch, sample=False, render=True)
    assert torch.equal(same.image, other.image)  # type: ignore[arg-type]
    assert torch.allclose(same.weight, other.weight, atol=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("detached", [False, True])
def test_the_weight_reaches_the_mesh_unless_detached(data: DataSetup, batch, detached: bool) -> None:
    weight = torch.rand(1, 256, 256, generator=torch.Generator().manual_seed(1))
    step = make_step(data, ScreenSettings(weight=weight, detach_weight=detached))
    prediction = step.predict(batch, sample=False, render=True)
    assert prediction.weight is not None
    assert prediction.weight.requires_grad == (not detached)


def test_pictures_are_compared_at_the_resolution_asked_for(trainable_capture: Path) -> None:
    data = open_data(TrainConfig(data_dir=trainable_capture, resolution=(16, 12)), photos=True)
    batch = next(iter(data.loader(data.test_index(), 2, shuffle=False)))
    small = make_step(data).predict(batch, sample=False, render=True)
    assert small.image is not None and small.image.shape[-2:] == (16, 12)
    whole = open_data(replace(TrainConfig(data_dir=trainable_capture)), photos=True)
    large = make_step(whole).predict(next(iter(whole.loader(whole.test_index(), 2, shuffle=False))), sample=False, render=True)
    assert large.covered is not None and small.covered is not None
    assert small.covered.float().mean().item() == pytest.approx(large.covered.float().mean().item(), abs=0.1)
