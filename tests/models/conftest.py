"""Fixtures of this room: seeded, and a small model of each architecture."""

from __future__ import annotations

import pytest
import torch

from multiface.models import FaceModel, build_model
from small_models import ARCHS, SMALL


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(params=ARCHS)
def arch(request) -> str:
    return request.param


@pytest.fixture
def model(arch: str) -> FaceModel:
    return build_model(arch, **SMALL)


@pytest.fixture
def base() -> FaceModel:
    return build_model("base", **SMALL)
