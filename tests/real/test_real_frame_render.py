"""The tracked mesh of a real frame with its average texture looks like the photo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "real_frame.py"


@pytest.mark.real
def test_real_frame_matches_the_photo(shared, tmp_path):
    command = [sys.executable, str(BENCHMARK), "--shared", str(shared), "--json", "--picture", str(tmp_path / "shown.png")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(output.splitlines()[-1])
    assert figures["psnr_db"] >= 31.5
    assert figures["iou"] >= 0.96
    assert 0.66 <= figures["coverage"] <= 0.70
    assert (tmp_path / "shown.png").stat().st_size > 1e6
