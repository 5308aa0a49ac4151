"""Listings kept on disk: used again while folders are the same, never when anything changed or the file is not ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multiface.capture import Capture, listing
from multiface.core.files import user_cache_folder
from multiface.data import build_index
from small_capture import write_small_capture


@pytest.fixture
def capture(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MULTIFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "WORTH_KEEPING", 1)
    root = tmp_path / "capture"
    write_small_capture(root)
    age(root)
    return root


def age(root: Path, seconds: int = 60) -> None:
    """Make all folders look as if they had been left alone for a while."""
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        info = folder.stat()
        os.utime(folder, ns=(info.st_atime_ns, info.st_mtime_ns - seconds * 10**9))


def kept(capture: Path) -> Path:
    (file,) = (capture.parent / "cache" / "listings").iterdir()
    return file


def index(root: Path, need_photo: bool = True) -> tuple[list[str], Capture]:
    capture = Capture(root)
    return [str(sample) for sample in build_index(capture, capture.frames, None, need_photo=need_photo).samples], capture


def test_the_second_program_lists_nothing(capture):
    first, listed = index(capture)
    second, known = index(capture)
    assert first == second and len(first) == 18
    assert listed.listing.n_listed > 20 and known.listing.n_listed == 0


@pytest.mark.parametrize("kind", ["images", "unwrapped_uv_16"])
def test_a_file_taken_away_is_noticed(capture, kind):
    index(capture)
    (capture / kind / "SEN_a_voice" / "400003" / "000105.png").unlink()
    names, again = index(capture)
    assert len(names) == 17 and "SEN_a_voice/000105/400003" not in names
    assert again.listing.n_listed == 1, "only the folder that changed"


def test_a_file_added_or_renamed_is_noticed(capture):
    picture = capture / "images" / "SEN_a_voice" / "400003" / "000105.png"
    moved = picture.rename(capture / "elsewhere.png")
    age(capture)
    assert len(index(capture)[0]) == 17
    moved.rename(picture)
    assert len(index(capture)[0]) == 18


def test_a_folder_put_in_place_of_another_is_noticed(capture):
    index(capture)
    folder = capture / "images" / "SEN_a_voice" / "400003"
    info = folder.stat()
    folder.rename(capture / "old")
    folder.mkdir()
    os.utime(folder, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert len(index(capture)[0]) == 16


def test_folders_that_changed_just_now_are_not_kept(tmp_path, monkeypatch):
    """A file that comes within the same tick of the clock would leave the time stamp as it is."""
    monkeypatch.setenv("MULTIFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "WORTH_KEEPING", 1)
    write_small_capture(tmp_path / "new")
    first = index(tmp_path / "new")[1].listing.n_listed
    assert index(tmp_path / "new")[1].listing.n_listed == first > 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b"000105.png", b"000106.png"),
        lambda data: b"",
        lambda data: b"x" * 100,
        lambda data: data.replace(b'"version":1', b'"version":9'),
    ],
    ids=["short", "changed", "empty", "foreign", "version"],
)
def test_a_damaged_or_foreign_file_is_ignored_and_made_anew(capture, damage):
    first, _ = index(capture)
    kept(capture).write_bytes(damage(kept(capture).read_bytes()))
    names, again = index(capture)
    assert names == first and again.listing.n_listed > 20
    assert index(capture)[1].listing.n_listed == 0


def test_a_listing_of_another_capture_is_not_used(capture, tmp_path):
    index(capture)
    data = kept(capture).read_bytes()
    other = tmp_path / "other"
    capture.rename(other)
    name = listing.Listing(other)
    kept(capture).with_name("x").write_bytes(data)
    assert name.files(other) and name.n_listed == 1


def test_where_the_users_folder_cannot_be_written_it_goes_beside_the_run(capture, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MULTIFACE_CACHE", str(tmp_path / "file"))
    run = tmp_path / "run"
    run.mkdir()
    first = Capture(capture)
    build_index(first, first.frames, None)
    assert first.listing.save(run) is not None and len(list(run.iterdir())) == 1
    again = Capture(capture)
    again.listing.use_folder(run)
    build_index(again, again.frames, None)
    assert again.listing.n_listed == 0


def test_nowhere_to_write_is_no_error(capture, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MULTIFACE_CACHE", str(tmp_path / "file"))
    assert len(index(capture)[0]) == 18


def test_small_captures_leave_no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIFACE_CACHE", str(tmp_path / "cache"))
    write_small_capture(tmp_path / "capture")
    age(tmp_path / "capture")
    index(tmp_path / "capture")
    assert not (tmp_path / "cache").exists()


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("MULTIFACE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache_folder() == tmp_path / "multiface"
