"""A download that is killed again and again ends like one that was left alone, and fetches nothing twice that was complete."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from multiface.release import State
from multiface.release.records import read_record
from release_archives import V1_CAMERAS, V1_ROOT, V1_SEGMENTS, files_below, pack_person, write_released_capture
from release_server import ReleaseServer, serve

ROUNDS = int(os.environ.get("MULTIFACE_KILL_ROUNDS", "20"))
ROM = {"EXP_ROM07_Facial_Expressions"}
PLACED = 1 << 60


class Executioner:
    """Kills the client when the server has sent so many bytes, or, the first time, in the middle of an archive."""

    def __init__(self, server: ReleaseServer, served: Path, state: State) -> None:
        self.process: subprocess.Popen | None = None
        self.left = 0
        self.in_the_middle = True
        self._served, self._state = served, state
        server.slice_bytes, server.send_buffer = 3000, 8192
        server.before_slice = self.before_slice

    def before_slice(self, path: str, position: int) -> None:
        self.left -= 3000
        process = self.process
        if process is None or path.endswith("CHECKSUM"):
            return
        if self.left < 0 if not self.in_the_middle else self._is_in_the_middle(path, position):
            os.kill(process.pid, signal.SIGKILL)

    def _is_in_the_middle(self, path: str, position: int) -> bool:
        """Whether the client has written down a first file of this archive, of which it has got more than half.

        How far it is behind what was sent is a matter of buffers and of its speed, so it is given time to catch up.
        """
        if 2 * position < (self._served / path).stat().st_size:
            return False
        patience = threading.Event()
        for _ in range(200):
            if 0 < complete_up_to(self._state).get(path, 0) < PLACED:
                return True
            patience.wait(0.01)
        return False


def complete_up_to(state: State) -> dict[str, int]:
    """Archive -> up to where its members are written down as complete; its whole size once it is in place."""
    done = {}
    for archive in state.recorded():
        record = read_record(state.record(archive))
        if record.entries:
            done[archive.key] = max(entry.after for entry in record.entries.values())
        if record.placed:
            done[archive.key] = PLACED
    return done


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL here")
@pytest.mark.parametrize("store", ["png", "jpeg"])
def test_killed_at_random_moments_it_ends_like_an_undisturbed_run(tmp_path: Path, store: str) -> None:
    dice = random.Random(store)
    capture = write_released_capture(tmp_path / "captures", V1_ROOT, V1_SEGMENTS, V1_CAMERAS, photo_size=(160, 120))
    pack_person(capture, tmp_path / "served", split_images=ROM, split_textures=ROM)
    rounds = ROUNDS if store == "png" else max(ROUNDS // 10, 2)
    with serve(tmp_path / "served") as server:
        words = ["--entity", "6795937", "--segment", *V1_SEGMENTS, "--camera", *V1_CAMERAS, "--base_url", server.url]
        words += ["--connections", "3", "--workers", "1", "--store", store]
        command = [sys.executable, "-m", "multiface", "download", *words, "--dest"]
        subprocess.run([*command, str(tmp_path / "undisturbed")], check=True, capture_output=True)
        total = sum(asked.sent for asked in server.log)
        state, kills = State(tmp_path / "killed"), 0
        executioner = Executioner(server, tmp_path / "served", state)
        while kills < rounds:
            complete, seen = complete_up_to(state), len(server.log)
            executioner.left = dice.randrange(total // rounds)
            executioner.process = subprocess.Popen(
                [*command, str(tmp_path / "killed")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            status = executioner.process.wait()
            executioner.process, executioner.in_the_middle = None, False
            for asked in [asked for asked in server.log[seen:] if asked.method == "GET"]:
                assert asked.start >= complete.get(asked.path, 0), f"{asked.path}: again from byte {asked.start}"
            if status == 0:
                break
            assert status == -signal.SIGKILL
            kills += 1
        if status != 0:
            done = subprocess.run([*command, str(tmp_path / "killed")], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    assert kills >= rounds // 2
    assert files_below(tmp_path / "killed") == files_below(tmp_path / "undisturbed")
    if store == "png":
        assert any(asked.start > 0 for asked in server.log), "no archive was gone on with in its middle"
        assert files_below(tmp_path / "killed") == files_below(tmp_path / "captures")
    assert not any((tmp_path / "killed" / ".multiface" / "staging").rglob("*.png"))
