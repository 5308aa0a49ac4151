"""Fixtures that every room may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests must not depend on how fast or busy the machine is.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real assets (licensed for research only, never part of the repository), or a skip with the reason."""
    folder = Path(os.environ.get("MULTIFACE_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "real" / "KRT").is_file():
        pytest.skip(f"no real capture assets at {folder} (set MULTIFACE_SHARED to where they are)")
    return folder


@pytest.fixture(scope="session")
def small_capture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny whole capture with nothing wrong. Read only: copy it to break it (copying is faster than writing)."""
    from small_capture import write_small_capture

    root = tmp_path_factory.mktemp("captures") / "m--20200101--0000--42--GHS"
    write_small_capture(root)
    return root


@pytest.fixture(scope="session")
def trainable_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small capture with textures of the smallest size that networks have. Read only: copy it to break it."""
    from small_capture import write_small_capture

    root = tmp_path_factory.mktemp("captures") / "m--20260101--0000--0000001--GHS"
    write_small_capture(root, tex_size=256, photo_size=(32, 24))
    return root


@pytest.fixture(scope="session")
def trained_run(trainable_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short training on ``trainable_capture`` with the screen loss."""
    from multiface.cli import run

    folder = tmp_path_factory.mktemp("runs") / "trained"
    words = ["train", str(trainable_capture), "--result_path", str(folder), "--nlatent", "8", "--max_iter", "4"]
    assert run([*words, "--train_batch_size", "4", "--lambda_screen", "1", "--log_every", "2", "--val_every", "2"]) == 0
    return folder
