"""multiface download as people use it, right and wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from multiface.capture import Capture
from multiface.cli import run
from release_archives import V1_CAMERAS, V1_ROOT, V1_SEGMENTS, pack_person, write_released_capture
from release_server import ReleaseServer, serve

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    capture = write_released_capture(folder / "captures", V1_ROOT, V1_SEGMENTS, V1_CAMERAS)
    rom = {"EXP_ROM07_Facial_Expressions"}
    pack_person(capture, folder / "served", split_images=rom, split_textures=rom)
    return folder / "served"


@pytest.fixture
def server(served: Path):
    with serve(served) as state:
        yield state


def last_line(capsys: pytest.CaptureFixture) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    ("words", "key", "count"),
    [
        (["--list"], "people", 13),
        (["--list", "segments", "--entity", "6795937"], "segments", 1),
        (["--list", "cameras"], "cameras", 13),
    ],
)
def test_lists_need_no_network(words: list[str], key: str, count: int, capsys: pytest.CaptureFixture) -> None:
    assert run(["download", *words, "--json", "--base_url", UNREACHABLE]) == 0
    found = last_line(capsys)[key]
    assert len(found) == count
    if key == "segments":
        assert len(found[0]["segments"]) == 185


def test_the_whole_release_is_planned_offline(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["download", "--dry_run", "--offline", "--dest", str(tmp_path / "out"), "--json", "--base_url", UNREACHABLE]
    assert run(words) == 0
    plan = last_line(capsys)
    assert plan["archives"] == len(plan["list"]) == 87_409 and not plan["sizes_known"]
    assert plan["bytes"] == pytest.approx(63e12, rel=0.01) and plan["seconds"] > 0 and plan["free_disk"] > 0
    assert not (tmp_path / "out").exists()


def test_a_dry_run_asks_for_sizes_once_and_fetches_nothing(
    server: ReleaseServer, served: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["download", "--entity", "6795937", "--segment", *V1_SEGMENTS, "--camera", *V1_CAMERAS, "--dest", str(tmp_path)]
    words += ["--base_url", server.url, "--json"]
    assert run([*words, "--dry_run"]) == 0
    plan = last_line(capsys)
    assert plan["sizes_known"] and plan["bytes"] == sum(path.stat().st_size for path in (served / "6795937").glob("*.tar"))
    assert {asked.method for asked in server.log} == {"HEAD"} and len(server.log) == plan["archives"] == 16
    assert run([*words, "--dry_run"]) == 0 and len(server.log) == 16
    capsys.readouterr()
    assert run(words) == 0
    assert last_line(capsys)["fetched"] == 16
    assert run([*words, "--dry_run"]) == 0
    assert last_line(capsys)["archives_left"] == 0


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(
    server: ReleaseServer, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiface.release.plan.free_space", lambda folder: 10_000)
    words = ["download", "--entity", "6795937", "--segment", "E057*", "--asset", "mesh", "--dest", str(tmp_path)]
    assert run([*words, "--base_url", server.url]) == 2
    message = capsys.readouterr().err
    assert "no room" in message and "10 kB" in message and "--ignore_free_space" in message
    assert not [asked for asked in server.log if asked.method == "GET"]
    assert run([*words, "--base_url", server.url, "--ignore_free_space"]) == 0


def test_the_address_comes_from_the_environment(server: ReleaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIFACE_BASE_URL", server.url + "/")
    assert run(["download", "--entity", "6795937", "--asset", "metadata", "--dest", str(tmp_path)]) == 0
    assert (tmp_path / V1_ROOT / "KRT").is_file()


def test_the_published_options_and_the_published_default_file(
    server: ReleaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"entity": ["6795937"], "image": False, "texture": False, "mesh": True, "audio": True, "metadata": True}
    text = json.dumps({**config, "expression": ["E057"]})
    (tmp_path / "own.json").write_text(text, encoding="utf-8")
    words = ["download", "--dest", str(tmp_path / "data"), "--base_url", server.url]
    assert run([*words, "--download_config", str(tmp_path / "own.json")]) == 0
    names = {path.name for path in (tmp_path / "data" / V1_ROOT).iterdir()}
    assert {"KRT", "audio", "tracked_mesh"} <= names and not names & {"images", "unwrapped_uv_1024"}
    (tmp_path / "own.json").rename(tmp_path / "download_config.json")
    monkeypatch.chdir(tmp_path)
    assert run(["download", "--dest", "other", "--base_url", server.url]) == 0
    assert len(Capture(tmp_path / "other" / V1_ROOT).segments) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing is chosen"),
        (["--entity", "nobody", "--dry_run"], "no person 'nobody'"),
        (["--entity", "6795937", "--segment", "E057_Cheeks_Pufed"], "E057_Cheeks_Puffed"),
        (["--download_config", "absent.json"], "absent.json"),
        (["--entity", "6795937", "--base_url", "ftp://x"], "--base-url"),
        (["--entity", "6795937", "--base_url", "http://"], "--base-url"),
        (["--entity", "6795937", "--base_url", "http://host:99999"], "--base-url"),
        (["--entity", "6795937", "--base_url", "http://a b/"], "--base-url"),
        (["--download_config", "."], "not a file"),
        (["--entity", "6795937", "--quality", "80"], "--store"),
        (["--entity", "6795937", "--store", "avif", "--quality", "0"], "1..100"),
        (["--entity", "6795937", "--connections", "0"], "connections"),
        (["--verify", "--list"], "only one"),
        (["--offline", "--entity", "6795937"], "--dry_run"),
        (["--verify"], "nothing was downloaded"),
        (["--entity", "6795937", "--workers", "-1"], "workers"),
        (["--rate", "0", "--dry_run"], "rate"),
    ],
)
def test_mistakes_are_one_clear_message(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTIFACE_BASE_URL", UNREACHABLE)
    assert run(["download", *words]) == 2
    message = capsys.readouterr().err
    assert says in message and "Traceback" not in message


def test_without_network_the_plan_is_made_and_fetching_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["download", "--entity", "6795937", "--asset", "metadata", "--dest", str(tmp_path), "--base_url", UNREACHABLE]
    assert run([*words, "--retries", "1", "--retry_wait", "0"]) == 1
    message = capsys.readouterr().err
    assert "cannot be fetched" in message and "ConnectError" in message
    assert run([*words, "--dry_run", "--retries", "0"]) == 0  # sizes are estimated then
    assert "cannot be asked" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_stops_at_once_and_the_next_run_goes_on(server: ReleaseServer, tmp_path: Path) -> None:
    words = ["--entity", "6795937", "--segment", "E057*", "--camera", *V1_CAMERAS, "--dest", str(tmp_path)]
    command = [sys.executable, "-m", "multiface", "download", *words, "--base_url", server.url, "--connections", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # What shells run in the background (`make test &`) ignores Ctrl-C, and so does what that starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    def interrupt(path: str, position: int) -> None:
        if "images" in path and position > 4000:
            server.before_slice = lambda path, position: None
            os.kill(process.pid, signal.SIGINT)
            patience = threading.Event()
            for _ in range(100):  # else what is left would arrive before the signal on some machines
                if process.poll() is not None:
                    break
                patience.wait(0.01)

    server.slice_bytes, server.before_slice = 2048, interrupt
    _, text = process.communicate(timeout=60)
    assert process.returncode == 130 and text.rstrip().endswith("interrupted") and "Traceback" not in text
    seen = len(server.log)
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert not [asked for asked in server.log[seen:] if "tracked_mesh" in asked.path and asked.method == "GET"]
    assert len(list((tmp_path / V1_ROOT / "images").rglob("*.png"))) == 9


def test_two_downloads_to_one_folder_do_not_get_in_each_others_way(
    server: ReleaseServer, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from multiface.release import State

    state = State(tmp_path)
    state.open()
    with state.locked():
        words = ["download", "--entity", "6795937", "--asset", "metadata", "--dest", str(tmp_path), "--base_url", server.url]
        assert run(words) == 2
    assert "another run is downloading to this folder" in capsys.readouterr().err
