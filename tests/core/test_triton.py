"""What keeps Triton's kernels from running is named, and everything that has another way takes it."""

from __future__ import annotations

import pytest
import torch

from multiface.core import triton
from multiface.data.png_rows import can_undo_filters
from multiface.render import backends
from multiface.train.precision import obstacle_to_compiling

GPU = torch.device("cuda")


@pytest.fixture(params=["Triton", "C compiler", "older"])
def missing(request, monkeypatch) -> str:
    monkeypatch.setattr(triton, "find_spec", lambda name: None if request.param == "Triton" else name)
    monkeypatch.setattr(triton.shutil, "which", lambda name: None if request.param == "C compiler" else name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1) if request.param == "older" else (9, 0))
    return request.param


def test_it_is_named(missing):
    assert missing in str(triton.obstacle_to_triton(GPU)) and missing in str(obstacle_to_compiling(GPU))


def test_whatever_has_another_way_takes_it(missing, monkeypatch):
    monkeypatch.setattr(backends, "_loaded", {})
    can_undo_filters.cache_clear()
    assert backends.find_backend(None, GPU).name == "reference"
    assert not can_undo_filters(GPU)
    can_undo_filters.cache_clear()


def test_nothing_is_in_the_way_of_a_whole_installation(monkeypatch):
    monkeypatch.setattr(triton, "find_spec", lambda name: name)
    monkeypatch.setattr(triton.shutil, "which", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert triton.obstacle_to_triton(GPU) is None


def test_networks_are_compiled_on_gpus_only():
    assert "GPUs" in str(obstacle_to_compiling(torch.device("cpu")))
