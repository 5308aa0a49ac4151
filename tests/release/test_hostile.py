"""Archives that want more than to be unpacked: refused by name, and nothing is written outside the destination."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.release import (
    Job,
    Network,
    Result,
    Selection,
    Server,
    Sizes,
    State,
    choose,
    download,
    load_catalogue,
    make_plan,
    tar,
)
from multiface.release.errors import ArchiveError, RefusedArchiveError
from multiface.release.member_paths import place_of
from multiface.release.names import Archive
from multiface.release.tar import Bytes, TarReader
from release_archives import V1_ROOT, file_member, files_below, tar_of, write_lists
from release_server import serve

NAME = "images--E057_Cheeks_Puffed.tar"
FOLDER = f"{V1_ROOT}/images/E057_Cheeks_Puffed/400002"
ARCHIVE = Archive("6795937", V1_ROOT, NAME, "images", "E057_Cheeks_Puffed", None)


def fetch_archive(folder: Path, content: bytes) -> Result:
    served = folder / "served" / "6795937"
    served.mkdir(parents=True)
    (served / NAME).write_bytes(content)
    write_lists(served)
    (folder / "around" / "out").mkdir(parents=True)
    state = State(folder / "around" / "out")
    state.open()
    selection = Selection(("6795937",), ("E057_Cheeks_Puffed",), (), ("images",))
    with serve(folder / "served") as server, Server(Network(server.url, retries=1, wait=0.001)) as connection:
        plan = make_plan(choose(selection, load_catalogue().people), state, Sizes(state))
        return download(plan, Job(connection, state), Sizes(state))


def special(name: str, kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.devmajor, info.devminor = kind, target, 1, 3
    return info


HOSTILE = {
    "absolute": [file_member("/tmp/multiface-absolute.png")],
    "parent": [file_member(f"{FOLDER}/../../../../../escaped.png")],
    "parent at the start": [file_member("../escaped.png")],
    "another root": [file_member("m--20200101--0000--1--GHS/images/E057_Cheeks_Puffed/400002/1.png")],
    "own state": [file_member(".multiface/lock")],
    "another asset": [file_member(f"{V1_ROOT}/tracked_mesh/E057_Cheeks_Puffed/000102.bin")],
    "another segment": [file_member(f"{V1_ROOT}/images/E061_Lips_Puffed/400002/000102.png")],
    "over the calibration": [file_member(f"{V1_ROOT}/KRT")],
    "newline": [file_member(f"{FOLDER}/000102\n.png")],
    "escape sequence": [file_member(f"{FOLDER}/\x1b[2J.png")],
    "backslash": [file_member(f"{FOLDER}/..\\..\\x.png")],
    "drive": [file_member(f"{FOLDER}/c:x.png")],
    "very long": [file_member(f"{FOLDER}/{'x' * 300}.png")],
    "not text": [file_member(f"{FOLDER}/\udcff.png")],
    "symbolic link": [special(f"{FOLDER}/link.png", tarfile.SYMTYPE)],
    "link to a folder": [special(FOLDER, tarfile.SYMTYPE, "/tmp"), file_member(f"{FOLDER}/escaped.png")],
    "hard link": [special(f"{FOLDER}/link.png", tarfile.LNKTYPE)],
    "character device": [special(f"{FOLDER}/device", tarfile.CHRTYPE)],
    "block device": [special(f"{FOLDER}/device", tarfile.BLKTYPE)],
    "pipe": [special(f"{FOLDER}/pipe", tarfile.FIFOTYPE)],
    "unknown kind": [special(f"{FOLDER}/strange.png", b"Z")],
    "twice": [file_member(f"{FOLDER}/000102.png"), file_member(f"{FOLDER}/000102.png", b"other")],
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_hostile_members_are_refused_by_name(case: str, format: int, tmp_path: Path) -> None:
    good = file_member(f"{FOLDER}/000099.png", b"good")
    result = fetch_archive(tmp_path, tar_of([good, *HOSTILE[case]], format))
    (message,) = result.failures.values()
    assert "archive refused" in message and NAME in message and "member '" in message
    assert "\n" not in message and "\x1b" not in message
    assert list(files_below(tmp_path / "around")) == []  # not even the good one: the archive is not what it says
    assert [path.name for path in (tmp_path / "around").iterdir()] == ["out"]
    assert not Path("/tmp/multiface-absolute.png").exists()


def test_a_member_that_is_announced_larger_than_the_archive(tmp_path: Path) -> None:
    info = tarfile.TarInfo(f"{FOLDER}/000102.png")
    info.size = 1 << 40
    result = fetch_archive(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(20_480))
    (message,) = result.failures.values()
    assert "announced with 1,099,511,627,776 bytes" in message and "000102.png" in message
    assert list(files_below(tmp_path / "around")) == []


def test_names_and_descriptions_of_any_length_take_no_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    (message,) = fetch_archive(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(20_480)).failures.values()
    assert "too long" in message


def members(content: bytes, chunk: int = 7000) -> list[tuple[str, bytes]]:
    chunks = (content[i : i + chunk] for i in range(0, len(content), chunk))
    reader = TarReader(Bytes(chunks, 0, lambda piece: None), "archive", lambda: len(content))
    found = []
    while (member := reader.next()) is not None:
        found.append((member.name, b"".join(bytes(piece) for piece in reader.content())))
    reader.finish()
    return found


def test_a_million_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tar.MOST_MEMBERS == 250_000
    monkeypatch.setattr(tar, "MOST_MEMBERS", 5000)
    header = tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT)
    chunks = (header * 500 for _ in range(2000))
    reader = TarReader(Bytes(chunks, 0, lambda piece: None), "archive", lambda: None)
    with pytest.raises(RefusedArchiveError, match="one of more than 5,000 members"):
        for _ in range(1_000_000):
            reader.next()


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.text("abcé/ .", min_size=1, max_size=120), st.binary(max_size=2000)), max_size=5),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT]),
    st.integers(1, 3000),
)
def test_members_are_those_that_tarfile_reads(files: list[tuple[str, bytes]], format: int, chunk: int) -> None:
    files = [(name, data) for name, data in files if not name.endswith("/")]
    try:
        content = tar_of([file_member(name, data) for name, data in files], format)
    except ValueError:  # a name that this format cannot hold
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        expected = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    assert [(name.rstrip("/"), data) for name, data in members(content, chunk)] == expected


@settings(max_examples=150)
@given(st.data())
def test_damaged_archives_are_errors_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(tar_of([file_member(f"{FOLDER}/{'x' * 120}{i}.png", bytes(700)) for i in range(3)]))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, 6000))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        for name, _ in members(bytes(content)):
            place_of(name, ARCHIVE, "archive")
    except (ArchiveError, RefusedArchiveError):
        pass


@settings(max_examples=200)
@given(st.lists(st.one_of(st.sampled_from([*FOLDER.split("/"), "..", ".", "", "~", "KRT"]), st.text(max_size=6)), max_size=7))
def test_no_name_leads_out_of_the_destination(tmp_path_factory, parts: list[str]) -> None:
    root = Path("/destination")
    try:
        place = place_of("/".join(parts), ARCHIVE, "archive")
    except RefusedArchiveError:
        return
    path = Path(os.path.normpath(root / place.path))
    assert path.is_relative_to(root / FOLDER.rsplit("/", 1)[0]) and len(path.relative_to(root).parts) == 5
