"""Fixtures of the capture tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiface.capture import Capture
from small_capture import write_small_capture


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """A small whole capture that the test may damage."""
    return write_small_capture(tmp_path / "m--20200101--0000--42--GHS")


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of property tests, which overwrite each other's files."""
    return tmp_path_factory.mktemp("scratch")
