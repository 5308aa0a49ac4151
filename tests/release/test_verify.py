"""Checking what is on disk, and mending only what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiface.cli import run
from multiface.release import State, records
from multiface.release.records import Entry, read_record
from release_archives import V1_CAMERAS, V1_ROOT, files_below
from release_server import ReleaseServer

SEGMENT = "E057_Cheeks_Puffed"
CHOICE = ["--entity", "6795937", "--segment", SEGMENT, "--camera", *V1_CAMERAS]


@pytest.fixture
def downloaded(server: ReleaseServer, tmp_path: Path) -> Path:
    assert run(["download", *CHOICE, "--dest", str(tmp_path), "--base_url", server.url]) == 0
    server.log.clear()
    return tmp_path


def verified(folder: Path, capsys: pytest.CaptureFixture, *words: str) -> tuple[int, dict]:
    capsys.readouterr()
    status = run(["download", "--dest", str(folder), "--json", *words])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_whole_download_is_found_whole(downloaded: Path, capsys: pytest.CaptureFixture) -> None:
    status, found = verified(downloaded, capsys, "--verify")
    assert status == 0
    assert found["files"] == len(files_below(downloaded)) and not found["missing"] and not found["changed"]


def test_what_is_broken_or_missing_is_named_and_only_that_is_fetched(
    downloaded: Path, server: ReleaseServer, capsys: pytest.CaptureFixture
) -> None:
    expected = files_below(downloaded)
    photos = f"{V1_ROOT}/images/{SEGMENT}"
    flipped, shorter, removed = (f"{photos}/{camera}/000102.png" for camera in V1_CAMERAS)
    data = bytearray(expected[flipped])
    data[100] ^= 1
    (downloaded / flipped).write_bytes(data)
    (downloaded / shorter).write_bytes(expected[shorter][:-1])
    (downloaded / removed).unlink()
    status, found = verified(downloaded, capsys, "--verify")
    assert status == 1
    assert sorted(found["changed"]) == sorted([flipped, shorter]) and found["missing"] == [removed]
    assert not server.log
    status, found = verified(downloaded, capsys, "--repair", "--base_url", server.url)
    assert status == 0 and files_below(downloaded) == expected
    assert {asked.path for asked in server.log} == {"6795937/CHECKSUM", f"6795937/images--{SEGMENT}.tar"}
    assert verified(downloaded, capsys, "--verify")[0] == 0


def test_a_plain_run_brings_back_what_was_removed(downloaded: Path, server: ReleaseServer) -> None:
    expected = files_below(downloaded)
    removed = downloaded / V1_ROOT / "unwrapped_uv_1024" / SEGMENT / "average"
    for path in removed.iterdir():
        path.unlink()
    removed.rmdir()
    assert run(["download", *CHOICE, "--dest", str(downloaded), "--base_url", server.url]) == 0
    assert files_below(downloaded) == expected
    (asked,) = server.asked(f"6795937/unwrapped_uv_1024--{SEGMENT}.tar")
    assert asked.start > 0


def test_repair_notices_that_the_archive_on_the_server_is_another_one(
    downloaded: Path, server: ReleaseServer, tmp_path: Path
) -> None:
    record = State(downloaded).folder / "records" / "6795937" / f"images--{SEGMENT}.jsonl"
    entries = list(read_record(record).entries.values())
    wrong = entries[0]._replace(hash="0" * 32)
    with record.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"member": wrong}) + "\n" + '{"placed":true}\n')
    expected = files_below(downloaded)
    assert run(["download", "--repair", "--dest", str(downloaded), "--base_url", server.url]) == 0
    assert files_below(downloaded) == expected
    assert server.asked(f"6795937/images--{SEGMENT}.tar")[-1].start == 0  # all of it, since its content is in doubt


@pytest.mark.parametrize("tail", ["", '{"member":["', "\0" * 300, '{"begin":3}\n'])
def test_a_record_whose_last_line_was_cut_off_is_read_up_to_there(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "record.jsonl"
    entry = Entry("root/KRT", 512, 7, "ab", 1024, "00", 0)
    begin = {"begin": {"size": 10, "etag": "", "md5": "", "store": "png", "boot": ""}}
    whole = json.dumps(begin) + "\n" + json.dumps({"member": entry}) + "\n"
    path.write_text(whole + tail, encoding="utf-8")
    assert read_record(path).entries == {512: entry}
    assert path.read_text(encoding="utf-8") == whole + tail, "whoever only looks leaves it alone"
    record = read_record(path, mend=True)
    assert record.entries == {512: entry} and not record.placed
    assert path.read_text(encoding="utf-8") == whole


def test_looking_at_a_record_takes_nothing_from_whoever_is_writing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is written between the last one read and the end of reading."""
    path = tmp_path / "record.jsonl"
    first, second = (
        Entry(f"root/{name}", position, 7, "ab", position + 512, "00", 0) for name, position in (("a", 512), ("b", 1536))
    )
    with records.Journal(path) as journal:
        journal.member(first)
        lines = records._lines

        def slow_lines(file):
            yield from lines(file)
            journal.member(second)

        monkeypatch.setattr(records, "_lines", slow_lines)
        assert read_record(path).entries == {512: first}
    monkeypatch.undo()
    assert read_record(path).entries == {512: first, 1536: second}


def test_after_a_start_of_the_machine_files_on_their_way_are_read_again(
    server: ReleaseServer, released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from release_server import Cut

    archive = f"6795937/images--{SEGMENT}.tar"
    words = ["download", *CHOICE, "--asset", "images", "--dest", str(tmp_path), "--base_url", server.url, "--retries", "0"]
    server.slice_bytes = 1024
    server.always[archive] = Cut(9000)
    assert run(words) == 1
    staged = sorted((tmp_path / ".multiface" / "staging").rglob("*"), key=lambda path: path.name)
    first, *others = [path for path in staged if path.is_file()]
    assert others
    first.write_bytes(bytes(first.stat().st_size))  # what a power failure can leave: the size without the content
    server.always.clear()
    server.log.clear()
    monkeypatch.setattr("multiface.release.resume.boot_id", lambda: "another start")
    assert run(words) == 0
    assert server.asked(archive)[0].start == 0
    got = files_below(tmp_path)
    assert got == {name: data for name, data in files_below(released / "captures").items() if name in got} and len(got) == 9
