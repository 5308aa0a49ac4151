"""Fixtures that every room may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real assets (licensed for research only, never part of the repository), or a skip with the reason."""
    folder = Path(os.environ.get("MULTIFACE_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "real" / "KRT").is_file():
        pytest.skip(f"no real capture assets at {folder} (set MULTIFACE_SHARED to where they are)")
    return folder
