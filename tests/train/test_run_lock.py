"""One job at a time in a run folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from multiface.core.errors import ArgumentError
from multiface.train import run_lock
from multiface.train.config import TrainConfig
from multiface.train.launch import Launch
from multiface.train.resume import restarted
from multiface.train.run_lock import RunLock, last_job

HOLD = """
import sys
from pathlib import Path
from multiface.train.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]), "a")
print(1, flush=True)
sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    return process


def test_another_live_job_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    process = hold(tmp_path)
    try:
        with pytest.raises(ArgumentError, match=rf"still running.*process {process.pid} on {socket.gethostname()}"):
            RunLock(tmp_path)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    lock = RunLock(tmp_path, "b")
    assert lock.previous_job == "a" and last_job(tmp_path) == "b"
    lock.release()
    RunLock(tmp_path).release()


def test_without_locks_of_the_file_system_the_process_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*unused) -> None:
        raise OSError(38, "no locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", no_locks)
    note = {"host": socket.gethostname(), "process": os.getppid()}
    (tmp_path / run_lock.NAME).write_text(json.dumps(note))
    with pytest.raises(ArgumentError, match="still running"):
        RunLock(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    (tmp_path / run_lock.NAME).write_text(json.dumps({**note, "process": process.pid}))
    RunLock(tmp_path).release()


def test_only_the_same_job_started_again_goes_on_by_itself(tmp_path: Path) -> None:
    config = TrainConfig(result_path=tmp_path)
    RunLock(tmp_path, "mine").release()
    assert restarted(config, Launch(attempt=1, job="mine")).overwrite
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "00000001.json").write_text("{}")
    assert restarted(config, Launch(attempt=1, job="mine")).resume == tmp_path
    for launch in (Launch(attempt=0, job="mine"), Launch(attempt=1, job="another"), Launch(attempt=1)):
        assert restarted(config, launch) == config
