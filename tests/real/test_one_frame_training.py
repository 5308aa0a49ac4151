"""Training on one real frame beats the average texture (benchmarks/one_frame_training.py has the figures)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.mark.real
@pytest.mark.slow
def test_the_rendered_picture_gets_3_db_better_than_the_average_texture(shared: Path, tmp_path: Path) -> None:
    from one_frame_training import train_until_better

    if not (shared / "expressions" / "expressions.npz").is_file():
        pytest.skip(f"no expression shapes at {shared / 'expressions'}")
    result = train_until_better(shared, tmp_path)
    assert result["gain_db"] >= 3.0, result
