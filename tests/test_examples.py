"""The examples run as they are shown."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multiface.capture import write_image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name: str, *words: object) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reading_a_capture(trainable_capture: Path) -> None:
    assert "3 cameras, 6 frames" in example("01_read_a_capture.py", trainable_capture)


def test_fitting_by_rendering_gets_closer(trainable_capture: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(trainable_capture, tmp_path / "capture"))
    columns, rows = np.meshgrid(np.arange(256), np.arange(256))
    waves = 120 + 60 * np.sin(columns / 20)[..., None] + 60 * np.cos(rows / 20)[..., None] * np.ones(3)
    for path in root.glob("unwrapped_uv_256/*/average/*.png"):  # random texels would pull nowhere
        write_image(path, waves.clip(1, 255).astype(np.uint8))
    distances = [float(d) for d in re.findall(r"off by ([\d.]+) mm", example("02_fit_by_rendering.py", root))]
    assert distances[-1] < 0.5 * distances[0]


@pytest.mark.slow
def test_driving_a_model(trained_run: Path, tmp_path: Path) -> None:
    example("03_drive_a_model.py", trained_run / "model.safetensors", tmp_path / "out.png")
    assert (tmp_path / "out.png").stat().st_size > 500
