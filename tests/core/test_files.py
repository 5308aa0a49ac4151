from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from multiface.core import files
from multiface.core.errors import StorageError
from multiface.core.files import atomic_path, make_folder, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_with(number: int):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_and_its_folders_appear(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "x.bin", b"\x00\x01")
    write_text(tmp_path / "a" / "x.txt", "ä\nb\n")
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"\x00\x01"
    assert (tmp_path / "a" / "x.txt").read_bytes() == "ä\nb\n".encode()


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "a long old text")
    write_text(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, interruption: type[BaseException]) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises(interruption), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise interruption
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_nobody_sees_the_file_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"1")
        assert not path.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
    assert path.read_bytes() == b"1"


@pytest.mark.skipif(os.name != "posix", reason="permission bits are a POSIX matter")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "x", "")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EACCES, "permission denied"),
        (errno.EPERM, "permission denied"),
        (errno.EROFS, "permission denied"),
    ],
)
def test_refusals_of_the_system_name_the_file_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    monkeypatch.setattr(files.os, "fsync", fail_with(number))
    with pytest.raises(StorageError, match=words) as caught:
        write_text(tmp_path / "x.txt", "text")
    assert str(tmp_path / "x.txt") in str(caught.value)
    assert names(tmp_path) == []


def test_disk_full_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", fail_with(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"x\.bin: no space left on the disk"):
        write_bytes(tmp_path / "x.bin", b"1")
    assert names(tmp_path) == []


def test_other_faults_of_the_system_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "fsync", fail_with(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        write_text(tmp_path / "x.txt", "text")
    assert not isinstance(caught.value, StorageError)


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for write in (lambda: write_text(tmp_path / "file" / "x.txt", ""), lambda: make_folder(tmp_path / "file")):
        with pytest.raises(StorageError, match="cannot be written"):
            write()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_text(tmp_path / "folder", "")
    assert names(tmp_path) == ["file", "folder"]


def test_make_folder_is_empty_afterwards(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    make_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


def test_make_folder_notices_that_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.tempfile, "mkstemp", fail_with(errno.EROFS))
    with pytest.raises(StorageError, match="permission denied"):
        make_folder(tmp_path / "out")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no such file system here")
def test_a_place_where_no_folder_can_be_is_named():
    with pytest.raises(StorageError, match="/proc/results"):
        make_folder("/proc/results")
