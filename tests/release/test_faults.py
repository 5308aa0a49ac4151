"""Fetching from a server that fails in every way a server can."""

from __future__ import annotations

import random
import re
import threading
from pathlib import Path

import pytest

from multiface.core.errors import StorageError
from multiface.release import Job, Network, Result, Selection, Server, Sizes, State, choose, download, load_catalogue, make_plan
from multiface.release.records import read_record
from release_archives import (
    V1_CAMERAS,
    V1_ROOT,
    V1_SEGMENTS,
    V2_CAMERAS,
    V2_ROOT,
    V2_SEGMENTS,
    files_below,
    pack_person,
    write_lists,
    write_released_capture,
)
from release_server import Cut, Flip, IgnoreRange, Page, ReleaseServer, Status, WrongLength, WrongRange, serve

IMAGES = "6795937/images--E057_Cheeks_Puffed.tar"
MESH = "6795937/tracked_mesh--E057_Cheeks_Puffed.tar"


def fetch(
    server: ReleaseServer, destination: Path, *, retries: int = 4, timeout: float = 5.0, keep: bool = False, **chosen
) -> Result:
    """Download a selection of the first person by default."""
    selection = Selection(**{"entities": ("6795937",), "segments": tuple(V1_SEGMENTS), "cameras": V1_CAMERAS, **chosen})
    state = State(destination)
    state.open()
    with Server(Network(server.url, connections=3, timeout=timeout, retries=retries, wait=0.001)) as connection:
        sizes = Sizes(state)
        plan = make_plan(choose(selection, load_catalogue().people), state, sizes)
        return download(plan, Job(connection, state, keep_archives=keep), sizes)


def of_person(folder: Path, root: str) -> dict[str, bytes]:
    return {name: data for name, data in files_below(folder).items() if name.startswith(root)}


def test_everything_arrives_and_a_second_run_fetches_nothing(server: ReleaseServer, released: Path, tmp_path: Path) -> None:
    result = fetch(server, tmp_path)
    assert result.good and result.fetched == 16 and not result.unverified
    assert files_below(tmp_path) == of_person(released / "captures", V1_ROOT)
    server.log.clear()
    again = fetch(server, tmp_path)
    assert again.good and again.kept == 16 and again.received == 0
    assert {asked.path for asked in server.log} == {"6795937/CHECKSUM"}


def test_the_second_rig_whose_archives_are_nearly_all_split(server: ReleaseServer, released: Path, tmp_path: Path) -> None:
    result = fetch(server, tmp_path, entities=("002645310",), segments=tuple(V2_SEGMENTS), cameras=V2_CAMERAS)
    assert result.good
    assert files_below(tmp_path) == of_person(released / "captures", V2_ROOT)


def test_cut_at_random_bytes_it_goes_on_there_and_fetches_nothing_twice(tmp_path: Path) -> None:
    dice = random.Random(5)
    capture = write_released_capture(tmp_path / "captures", V1_ROOT, V1_SEGMENTS, V1_CAMERAS, photo_size=(64, 48))
    rom = {"EXP_ROM07_Facial_Expressions"}
    folder = pack_person(capture, tmp_path / "served", split_images=rom, split_textures=rom)
    with serve(tmp_path / "served") as server:
        for path in folder.glob("*.tar"):
            server.faults[f"6795937/{path.name}"].extend(Cut(dice.randrange(path.stat().st_size // 2)) for _ in range(4))
        result = fetch(server, tmp_path / "out")
        assert result.good and files_below(tmp_path / "out") == files_below(tmp_path / "captures")
        for path in folder.glob("*.tar"):
            asked = server.asked(f"6795937/{path.name}")
            assert len(asked) > 1 and sum(one.sent for one in asked) == path.stat().st_size


@pytest.mark.parametrize(
    "faults",
    [
        [Status(500), Status(503, {"Retry-After": "0"}), Status(429)],
        [Cut(3000), Status(502), Cut(100)],
        [Cut(5000), WrongRange(), Cut(0)],
        [Cut(5000), IgnoreRange()],
        [Cut(5000), IgnoreRange(cut=7000), IgnoreRange()],
        [Flip(700)],
        [Flip(3)],
        [Flip(20_000), Flip(1024)],
        [Page()],
        [WrongLength(-1000)],
        [WrongLength(+1000)],
    ],
    ids=repr,
)
def test_faults_that_pass_are_overcome(faults: list, server: ReleaseServer, released: Path, tmp_path: Path) -> None:
    server.faults[IMAGES].extend(faults)
    result = fetch(server, tmp_path)
    assert result.good, result.failures
    assert files_below(tmp_path) == of_person(released / "captures", V1_ROOT)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Status(404), "is not on the server"),
        (Status(403), "refused by the server"),
        (Status(500), "HTTP status 500, 5 times in a row"),
        (Page(), "HTML page"),
        (Flip(2000), "checksum of the archive differs"),
        (Cut(0), "5 times in a row"),
        (WrongLength(-1000), "checksum of the archive differs"),
    ],
    ids=repr,
)
def test_faults_that_stay_fail_one_archive_with_its_name_and_leave_nothing_of_it(
    fault: object, says: str, server: ReleaseServer, released: Path, tmp_path: Path
) -> None:
    server.always[IMAGES] = fault
    result = fetch(server, tmp_path)
    assert list(result.failures) == [IMAGES]
    assert server.url + "/" + IMAGES in result.failures[IMAGES]
    assert re.search(says, result.failures[IMAGES])
    expected = of_person(released / "captures", V1_ROOT)
    assert files_below(tmp_path) == {name: data for name, data in expected.items() if "images/E057" not in name}
    server.always.clear()
    assert fetch(server, tmp_path).good  # and the next run fetches what is missing
    assert files_below(tmp_path) == expected


def test_silence_counts_as_a_broken_connection(server: ReleaseServer, released: Path, tmp_path: Path) -> None:
    hold, silent = threading.Event(), []

    def before_slice(path: str, position: int) -> None:
        if path == IMAGES and position > 0 and not silent:
            silent.append(position)
            hold.wait(30)

    server.slice_bytes, server.before_slice = 8192, before_slice
    result = fetch(server, tmp_path, timeout=0.3)
    hold.set()
    assert result.good and silent
    assert server.asked(IMAGES)[1].start == silent[0]


def test_a_list_of_checksums_that_lacks_a_file_is_a_warning(released: Path, tmp_path: Path) -> None:
    served = tmp_path / "served" / "6795937"
    served.mkdir(parents=True)
    for path in (released / "served" / "6795937").iterdir():
        (served / path.name).write_bytes(path.read_bytes())
    lines = (served / "CHECKSUM").read_text(encoding="utf-8").splitlines(keepends=True)
    (served / "CHECKSUM").write_text("".join(line for line in lines if "tracked_mesh--E057" not in line), encoding="utf-8")
    with serve(tmp_path / "served") as server:
        result = fetch(server, tmp_path / "out")
    assert result.good and result.unverified == [MESH]
    assert files_below(tmp_path / "out") == of_person(released / "captures", V1_ROOT)


@pytest.mark.parametrize("fault", [Page(), Status(404), Status(500)], ids=repr)
def test_without_a_list_of_checksums_nothing_is_fetched(fault: object, server: ReleaseServer, tmp_path: Path) -> None:
    server.always["CHECKSUM"] = fault
    result = fetch(server, tmp_path, retries=1)
    assert not result.good and result.fetched == 0
    assert all("CHECKSUM" in text for text in result.failures.values())
    assert not files_below(tmp_path)


def test_a_server_that_is_gone_is_not_asked_87000_times(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        pass
    state = State(tmp_path / "out")
    state.open()
    with Server(Network(server.url, connections=2, retries=1, wait=0.001)) as connection:
        plan = make_plan(choose(Selection(), load_catalogue().people), state, Sizes(state))
        result = download(plan, Job(connection, state), Sizes(state))
    assert len(result.failures) < 30 and result.not_tried > 87_000


def test_an_archive_that_changes_between_two_connections_is_begun_anew(released: Path, tmp_path: Path) -> None:
    served = tmp_path / "served" / "6795937"
    served.mkdir(parents=True)
    for path in (released / "served" / "6795937").iterdir():
        (served / path.name).write_bytes(path.read_bytes())
    with serve(tmp_path / "served") as server:
        target, changed = served / "images--E057_Cheeks_Puffed.tar", []

        def before_slice(path: str, position: int) -> None:
            if path == IMAGES and position > 8000 and not changed:
                changed.append(True)
                replacement = target.with_suffix(".new")
                replacement.write_bytes(target.read_bytes())
                replacement.replace(target)

        server.slice_bytes, server.before_slice = 4096, before_slice
        server.faults[IMAGES].append(Cut(12_000))
        result = fetch(server, tmp_path / "out")
    assert result.good and changed
    assert files_below(tmp_path / "out") == of_person(released / "captures", V1_ROOT)
    assert server.asked(IMAGES)[-1].start == 0


def test_more_cameras_later_fetch_only_these(server: ReleaseServer, released: Path, tmp_path: Path) -> None:
    one = fetch(server, tmp_path, cameras=V1_CAMERAS[:1], assets=("images",), segments=("E057_Cheeks_Puffed",))
    assert one.good and {Path(name).parts[3] for name in files_below(tmp_path)} == {V1_CAMERAS[0]}
    server.log.clear()
    two = fetch(server, tmp_path, cameras=V1_CAMERAS[:2], assets=("images",), segments=("E057_Cheeks_Puffed",))
    assert two.good and two.mended == 1
    expected = of_person(released / "captures", V1_ROOT)
    second = {name: data for name, data in expected.items() if f"images/E057_Cheeks_Puffed/{V1_CAMERAS[1]}" in name}
    assert second.items() <= files_below(tmp_path).items() and len(files_below(tmp_path)) == 6
    padded = sum(512 + -(-len(data) // 512) * 512 for data in second.values())
    assert server.fetched(IMAGES) <= padded + 2048


def test_a_large_member_that_was_cut_goes_on_inside_it_in_the_next_run(
    server: ReleaseServer, released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiface.release.extract.PART", 256)
    server.slice_bytes = 100
    server.always[IMAGES] = Cut(10_240 + 1536 + 900)  # within the content of a member
    assert not fetch(server, tmp_path, retries=0).good
    record = read_record(State(tmp_path).folder / "records" / "6795937" / Path(IMAGES).with_suffix(".jsonl").name)
    assert record.part is not None and record.part.written >= 256
    server.always.clear()
    server.log.clear()
    assert fetch(server, tmp_path).good
    assert server.asked(IMAGES)[0].start == record.part.position + record.part.written
    assert files_below(tmp_path) == of_person(released / "captures", V1_ROOT)


def test_kept_archives_are_those_of_the_server(server: ReleaseServer, released: Path, tmp_path: Path) -> None:
    size = (released / "served" / IMAGES).stat().st_size
    server.faults[IMAGES].extend([Cut(size // 2), Cut(1000)])
    assert fetch(server, tmp_path, keep=True).good
    kept = tmp_path / "archives" / "6795937"
    assert len(list(kept.iterdir())) == 16
    assert all(path.read_bytes() == (released / "served" / "6795937" / path.name).read_bytes() for path in kept.iterdir())


def test_a_folder_that_cannot_be_written_to_ends_everything(server: ReleaseServer, tmp_path: Path) -> None:
    (tmp_path / V1_ROOT).write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError):
        fetch(server, tmp_path)


def test_a_person_of_a_mirror_that_the_catalogue_does_not_know(tmp_path: Path) -> None:
    from multiface.cli import run

    root = "m--20260101--0000--0000042--GHS"
    capture = write_released_capture(tmp_path / "captures", root, {"E001_own": 2}, ("400002", "500000"))
    write_lists(pack_person(capture, tmp_path / "served", split_images=set(), split_textures={"E001_own"}))
    with serve(tmp_path / "served") as server:
        words = ["--dest", str(tmp_path / "out"), "--base_url", server.url, "--connections", "2"]
        assert run(["download", "--entity", "0000042", *words]) == 0
        assert files_below(tmp_path / "out") == files_below(tmp_path / "captures")
        assert run(["download", "--entity", "0000043", *words]) == 2
