"""Our files, written piece by piece, are those of safetensors' own writer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from multiface.models.tensor_file import METADATA_KEY, open_tensor_file, write_tensor_file

KINDS = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("note", [{}, {"a": ["\u00fc", 1, '\u2028"\\\n']}])
def test_the_bytes_are_those_of_safetensors(tmp_path: Path, note: dict) -> None:
    tensors = {f"{number % 3}-{kind}": torch.arange(number).to(kind) for number, kind in enumerate(KINDS)}
    tensors |= {"scalar": torch.tensor(1.5), "empty": torch.zeros(0, 3), "grid": torch.rand(3, 4)}
    write_tensor_file(tmp_path / "x", tensors, note)
    text = json.dumps(note, sort_keys=True, separators=(",", ":"))
    assert (tmp_path / "x").read_bytes() == save(tensors, metadata={METADATA_KEY: text})
    back = open_tensor_file(tmp_path / "x").read(lambda name: True)
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
