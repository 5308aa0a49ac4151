"""The copy of a training state that is written while training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multiface.train import snapshot as module
from multiface.train.snapshot import Snapshot


def tensors_of(tree: Any) -> Iterator[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        yield tree
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    for item in items:
        yield from tensors_of(item)


def state(device: str = "cpu") -> dict[str, Any]:
    torch.manual_seed(0)
    kernel = torch.randn(2, 3, 4, 5, device=device).to(memory_format=torch.channels_last)
    return {
        "model": {"kernel": kernel, "bias": torch.randn(7, device=device), "empty": torch.zeros(0, device=device)},
        "optimisation": [{"step": torch.tensor(3.0, device=device), 5: torch.randn(3, device=device).double()}, (1, None, "x")],
        "turned": torch.randn(4, 6, device=device).t(),
        "every second": torch.arange(9, device=device)[::2],
        "random": torch.tensor([1, 2, 255], dtype=torch.uint8),
        "seconds": 1.5,
    }


def assert_same(a: Any, b: Any) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a.cpu(), b) and a.dtype == b.dtype and b.device.type == "cpu"
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert type(a) is type(b) and len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    else:
        assert a == b


def test_it_is_the_state_as_it_was():
    tree, untouched = state(), state()
    snapshot = Snapshot.of(tree)
    for tensor in tensors_of(tree):
        tensor.zero_()
    with snapshot.beside_training():
        copy = snapshot.on_cpu()
    assert_same(untouched, copy)
    assert copy["model"]["kernel"].is_contiguous(memory_format=torch.channels_last), "moments lie as their parameters do"
    assert copy["turned"].stride() == (1, 6)


def test_all_of_a_device_are_copied_by_few_calls(monkeypatch):
    calls = []
    copy = torch._foreach_copy_
    monkeypatch.setattr(torch, "_foreach_copy_", lambda *lists: calls.append(len(lists[0])) or copy(*lists))
    Snapshot.of({"many": [torch.randn(3) for _ in range(200)], "other": [torch.zeros(2, dtype=torch.int64)]})
    assert sorted(calls) == [1, 200]


@given(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=8), st.sampled_from([torch.float32, torch.uint8, torch.bool]))
def test_no_two_tensors_share_memory(shapes: list[list[int]], dtype: torch.dtype):
    tensors = [
        torch.full(shape, number % 2 if dtype == torch.bool else number).to(dtype) for number, shape in enumerate(shapes)
    ]
    copies = Snapshot.of({"all": tensors}).on_cpu()["all"]
    assert_same(tensors, copies)
    for copy in copies:
        before = [other.clone() for other in copies if other is not copy]
        copy.fill_(1)
        assert all(torch.equal(a, b) for a, b in zip(before, (other for other in copies if other is not copy)))


@given(st.integers(0, 60), st.integers(1, 25))
def test_all_of_a_block_goes_by_way_of_a_piece(length: int, size: int):
    block, piece = torch.arange(length, dtype=torch.uint8), torch.full((size,), 99, dtype=torch.uint8)
    copy = module._by_way_of(piece, block)
    piece.zero_()
    assert torch.equal(copy, block)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("values", [0, 1, 255, 256, 257, 512, 1000, 5000])
def test_it_leaves_a_gpu_in_pieces(values: int, monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 1024)  # 256 values
    tree = {"all": torch.arange(values, device="cuda", dtype=torch.float32)}
    snapshot = Snapshot.of(tree)
    with snapshot.beside_training():
        assert_same(tree, snapshot.on_cpu())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_nothing_waits():
    tree, untouched = state("cuda"), state("cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        snapshot = Snapshot.of(tree)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for tensor in tensors_of(tree):
        tensor.zero_()
    with snapshot.beside_training():
        assert_same(untouched, snapshot.on_cpu())
