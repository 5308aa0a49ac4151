"""Training states and the files they are kept in."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multiface.core.errors import CheckpointError
from multiface.train.checkpoints import Checkpoints
from multiface.train.run_folder import RunFolder
from multiface.train.state import _pack, _unpack, read_state, write_state

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$tensor", "$tuple", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(TREES)
def test_trees_come_back_as_they_were(tree) -> None:
    assert _unpack(json.loads(json.dumps(_pack(tree, {}))), {}) == tree


def test_tensors_come_back_with_their_order_in_memory(tmp_path: Path) -> None:
    last = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    write_state(tmp_path / "x.safetensors", {"state": {0: {"a": last, "step": torch.tensor(3.0)}}, "inf": math.inf})
    back = read_state(tmp_path / "x.safetensors")
    assert back["inf"] == math.inf
    assert torch.equal(back["state"][0]["a"], last) and back["state"][0]["a"].stride() == last.stride()
    assert back["state"][0]["step"].shape == ()


@pytest.mark.parametrize("strides", [[1 << 40, 1], [1, 1], [1, 5], [-3, 1], [1]])
def test_strides_that_are_not_the_tensors_own_are_refused(tmp_path: Path, strides: list[int]) -> None:
    content = _pack({"a": torch.zeros(2, 3)}, {})
    content["a"]["strides"] = strides
    with pytest.raises(ValueError, match="strides"):
        _unpack(content, {"000000": torch.zeros(2, 3)})


def test_a_model_is_no_training_state(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="not a training state"):
        read_state(tmp_path / "x.safetensors")


def tree(iteration: int, value: torch.Tensor) -> dict:
    return {"model": {"a": value}, "position": {"iteration": iteration, "epoch": 0, "batches": 0}}


def test_the_last_states_stay_and_later_changes_do_not_reach_them(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    checkpoints = Checkpoints(folder, keep=2)
    value = torch.zeros(1000)
    for iteration in (5, 10, 15):
        value.fill_(iteration)
        checkpoints.save(tree(iteration, value), {})
        value.fill_(-1)
    checkpoints.wait()
    assert sorted(path.name for path in folder.states.iterdir()) == [
        f"{iteration:08d}.{suffix}" for iteration in (10, 15) for suffix in ("json", "safetensors")
    ]
    path, complaints = checkpoints.newest()
    assert not complaints and bool((read_state(path)["model"]["a"] == 15).all())
    (folder.states / "00000099.safetensors").write_bytes(b"cut off before its note was written")
    assert checkpoints.newest()[0] == path


@pytest.mark.parametrize("damage", ["cut off", "damaged", "missing", "unreadable note"])
def test_what_is_wrong_with_the_newest_is_said_and_the_one_before_is_taken(tmp_path: Path, damage: str) -> None:
    checkpoints = Checkpoints(RunFolder(tmp_path), keep=3)
    for iteration in (1, 2):
        checkpoints.save(tree(iteration, torch.rand(50)), {})
    checkpoints.close()
    newest = tmp_path / "states" / "00000002.safetensors"
    content = newest.read_bytes()
    if damage == "cut off":
        newest.write_bytes(content[:-4])
    elif damage == "damaged":
        newest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        newest.unlink()
    else:
        newest.with_suffix(".json").write_text("{")
    path, (complaint,) = checkpoints.newest()
    assert path.stem == "00000001" and damage in complaint


def test_a_failure_to_write_comes_out(tmp_path: Path) -> None:
    (tmp_path / "states").write_text("a file where the folder should be")
    checkpoints = Checkpoints(RunFolder(tmp_path))
    checkpoints.save(tree(1, torch.zeros(2)), {})
    with pytest.raises(OSError, match="cannot be written"):
        checkpoints.wait()
