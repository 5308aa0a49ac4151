"""What must never be in the repository, and what every source file must be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in done.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def test_no_large_files_and_no_capture_data(tracked: list[Path]) -> None:
    assert not [path for path in tracked if path.stat().st_size > 600_000]
    assert not [path for path in tracked if path.suffix in {".bin", ".pth", ".npz", ".safetensors", ".mp4", ".wav"}]
    assert not [path for path in tracked if re.search(r"021924|face_topology|loss_weight_mask", path.name)]


def test_library_code_neither_prints_nor_asserts_nor_swallows_errors(tracked: list[Path]) -> None:
    forbidden = re.compile(
        r"^\s*(print\(|assert )|except( Exception)?:\s*pass|pickle\.loads?\(|shell=True|os\.system|(?<!\.)eval\("
    )
    found = [
        f"{path}:{number}"
        for path in tracked
        if path.suffix == ".py" and "src" in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert not found
