"""Fixtures of the capture tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from multiface.capture import Capture


@pytest.fixture
def capture(small_capture_folder: Path, tmp_path: Path) -> Capture:
    """A small whole capture that the test may damage."""
    return Capture(shutil.copytree(small_capture_folder, tmp_path / small_capture_folder.name))


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of property tests, which overwrite each other's files."""
    return tmp_path_factory.mktemp("scratch")
