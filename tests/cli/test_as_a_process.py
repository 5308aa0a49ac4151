"""Commands as the shell runs them, to their very end: what only shows when the interpreter goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("command", ["train", "test"])
def test_nothing_is_left_to_complain_about(command: str, trainable_capture: Path, trained_run: Path, tmp_path: Path) -> None:
    """Compilers and libraries look at the end whether all that was theirs is gone, and say so on the terminal."""
    words = [command, trainable_capture, "--result_path", tmp_path / "out", "--lambda_screen", "1", "--n_worker", "1"]
    words += {
        "train": ["--nlatent", "8", "--max_iter", "2", "--train_batch_size", "4", "--validation", "none"],
        "test": ["--model_path", trained_run / "model.safetensors", "--report", "frozen", "--images", "1"],
    }[command]
    done = subprocess.run([sys.executable, "-m", "multiface", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not any(word in done.stderr for word in ("leaked", "Warning", "Traceback", "Exception ignored")), done.stderr
