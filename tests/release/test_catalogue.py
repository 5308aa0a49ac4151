"""The catalogue against the published figures and the real lists of names."""

from __future__ import annotations

import lzma
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.release import load_catalogue
from multiface.release.catalogue import archive_names, archives
from multiface.release.names import archive_name, parse_archive_name
from multiface.release.ranges import positions_from_text, positions_to_text

REPOSITORY = Path(__file__).resolve().parents[2]

# entity: lines of the list, segments, cameras, photo archives whole and split, texture archives whole and split, meshes
PUBLISHED = {
    "002757580": (2864, 130, 39, 65, 2535, 130, 0),
    "002539136": (2346, 160, 39, 111, 1911, 160, 0),
    "6674443": (2527, 182, 39, 131, 1989, 181, 40),
    "6795937": (2743, 185, 38, 127, 2204, 184, 39),
    "8870559": (2897, 184, 40, 125, 2360, 183, 41),
    "2183941": (2387, 183, 40, 137, 1840, 182, 41),
    "002643814": (2000, 184, 40, 148, 1440, 183, 41),
    "5372021": (2498, 116, 40, 62, 2160, 115, 41),
    "7889059": (2138, 183, 34, 136, 1598, 182, 35),
    "002914589": (722, 184, 34, 180, 136, 183, 35),
    "5067077": (22358, 81, 146, 0, 11826, 10, 10437),
    "002421669": (23266, 81, 150, 0, 12150, 8, 11023),
    "002645310": (18689, 81, 147, 1, 11760, 35, 6808),
}


@pytest.mark.parametrize("entity", PUBLISHED)
def test_the_published_numbers_of_archives(entity: str) -> None:
    person = load_catalogue().people[entity]
    count = {
        (kind, split): sum(1 for a in archives(person) if a.kind == kind and (a.camera is not None) == split)
        for kind in ("images", "textures", "mesh")
        for split in (False, True)
    }
    found = len(archive_names(person)) + 2, len(person.segments), len(person.cameras)  # CHECKSUM and index.html besides
    found += tuple(count[key] for key in (("images", False), ("images", True), ("textures", False), ("textures", True)))
    assert found == PUBLISHED[entity]
    assert count["mesh", False] == len(person.segments) and count["mesh", True] == 0
    assert person.entity in person.root


def test_the_published_totals() -> None:
    people = load_catalogue().people.values()
    assert sum(person.bytes_of["images"] for person in people) == 49_300_000_000_000
    assert sum(person.bytes_of["mesh"] for person in people) == 401_000_000_000
    assert sum(person.bytes_of["textures"] for person in people) == 13_284_000_000_000
    assert sum(person.models for person in people) == 11


@pytest.mark.real
def test_every_name_of_the_real_lists_comes_back(shared: Path) -> None:
    total = 0
    for person in load_catalogue().people.values():
        real = lzma.decompress((shared / "release" / f"{person.root}.names.xz").read_bytes()).decode().splitlines()
        assert sorted([*archive_names(person), "CHECKSUM", "index.html"]) == sorted(real)
        total += len(real)
        for archive in archives(person):
            assert parse_archive_name(archive.name) == (archive.kind, archive.segment, archive.camera)
    assert total == 87_435


@pytest.mark.real
def test_the_catalogue_in_the_package_is_what_the_script_makes(shared: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "tools" / "make_catalogue.py"), str(shared / "release"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


@given(st.sets(st.integers(0, 300)))
def test_ranges_come_back(numbers: set[int]) -> None:
    assert positions_from_text(positions_to_text(sorted(numbers))) == sorted(numbers)


@pytest.mark.parametrize(
    "name",
    ["CHECKSUM", "index.html", "../audio.tar", "images--../x.tar", "images--a/b.tar", "images--E1.tar\n", "images--.tar",
     "tracked_mesh--E1_cam400002.tar", "images--E1_camaverage.tar", "x--E1.tar", "images--..tar", "images--E1.tar.gz"],
)  # fmt: skip
def test_names_that_are_no_archives(name: str) -> None:
    assert parse_archive_name(name) is None


def test_names_are_made_as_they_are_read() -> None:
    assert archive_name("textures", "SEN_near-at-hand", "average") == "unwrapped_uv_1024--SEN_near-at-hand_camaverage.tar"
    assert parse_archive_name("images--GAZ_g001_400349_neutral.tar") == ("images", "GAZ_g001_400349_neutral", None)
    assert parse_archive_name("images--GAZ_g001_400349_x_cam400004.tar") == ("images", "GAZ_g001_400349_x", "400004")
