"""Served people for the tests of the release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from release_archives import (
    V1_CAMERAS,
    V1_ROOT,
    V1_SEGMENTS,
    V2_CAMERAS,
    V2_ROOT,
    V2_SEGMENTS,
    pack_person,
    write_released_capture,
)
from release_server import ReleaseServer, serve


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people: ``captures`` as they should be on disk, ``served`` as archives. Read only."""
    folder = tmp_path_factory.mktemp("released")
    first = write_released_capture(folder / "captures", V1_ROOT, V1_SEGMENTS, V1_CAMERAS)
    second = write_released_capture(folder / "captures", V2_ROOT, V2_SEGMENTS, V2_CAMERAS, seed=1)
    rom = {"EXP_ROM07_Facial_Expressions"}
    pack_person(first, folder / "served", split_images=rom, split_textures=rom)
    pack_person(second, folder / "served", split_images={"EXP_free_face"}, split_textures={"EXP_free_face"})
    return folder


@pytest.fixture
def server(released: Path) -> Iterator[ReleaseServer]:
    """The served people on loopback, nothing wrong with them."""
    with serve(released / "served") as state:
        yield state
