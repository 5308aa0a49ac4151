"""The first failure of a job is told, once."""

from __future__ import annotations

import json
import threading

import pytest
import torch.distributed as dist

from multiface.core.errors import CaptureError, JobError
from multiface.train import watch
from multiface.train.launch import Launch
from multiface.train.watch import Watch


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> list[Watch]:
    monkeypatch.setattr(watch, "CONSEQUENCE", 0.3)
    monkeypatch.setattr(watch, "LAST_LOOK", 0.0)
    store = dist.HashStore()
    return [Watch(Launch(rank, 2), store, 60.0) for rank in range(2)]


def test_the_first_to_fail_speaks_and_the_others_are_silent(pair: list[Watch]) -> None:
    error = CaptureError("is broken")
    pair[1].failed(error)
    assert "on process 1 of 2: is broken" in str(error)
    for later in (CaptureError("is broken too"), RuntimeError("Connection closed by peer")):
        with pytest.raises(SystemExit):
            pair[0].failed(later)


def test_a_broken_connection_that_nobody_explains_is_a_lost_process(pair: list[Watch]) -> None:
    with pytest.raises(JobError, match="without a word"):
        pair[0].failed(RuntimeError("[gloo] Connection closed by peer"))


def test_what_all_know_is_not_claimed_again(pair: list[Watch]) -> None:
    pair[0].told("no such capture")
    pair[0].failed(CaptureError("no such capture"))
    error = CaptureError("another")
    pair[1].failed(error)
    assert "on process 1" in str(error)


def test_the_launcher_is_told(pair: list[Watch], monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "sub" / "error.json"))
    pair[0].failed(CaptureError("is broken"))
    assert "is broken" in json.loads((tmp_path / "sub" / "error.json").read_text())["message"]["message"]


def test_who_stands_still_is_found_by_how_far_each_is(pair: list[Watch]) -> None:
    store = pair[0]._store
    for _ in range(3):
        pair[0].progress("computing")
    store.set("at 1", json.dumps([2, "waiting for its data after 7 updates"]))
    assert pair[0]._notes() == {0: (3, "computing"), 1: (2, "waiting for its data after 7 updates")}


def test_who_has_heard_of_a_failure_is_silent_when_the_store_goes_with_it(pair: list[Watch], monkeypatch) -> None:
    """The process that keeps the store waits until the others have looked."""
    waited: list[float] = []
    monkeypatch.setattr(watch, "LAST_LOOK", 7.0)
    monkeypatch.setattr(watch, "GRACE", 0.01)
    monkeypatch.setattr(watch.os, "_exit", lambda status: None)
    monkeypatch.setattr(watch.time, "sleep", waited.append)
    pair[0].failed(CaptureError("is broken"))
    assert waited == [7.0]
    pair[1]._timeout = 0.04
    pair[1]._run()
    pair[1]._store = Gone()  # type: ignore[assignment]
    with pytest.raises(SystemExit):
        pair[1].failed(RuntimeError("gloo: Connection closed by peer"))


class Gone:
    """A store whose keeper has gone."""

    def __getattr__(self, name: str):
        def fail(*arguments):
            raise RuntimeError("Connection reset by peer")

        return fail


@pytest.mark.parametrize(("agent_store", "speaker"), [(False, 1), (True, 0)])
def test_without_the_store_one_process_speaks_all_the_same(agent_store: bool, speaker: int) -> None:
    said = []
    for rank in range(3):
        try:
            Watch(Launch(rank, 3, agent_store=agent_store), Gone(), 60.0).failed(RuntimeError("gloo: Connection closed"))  # type: ignore[arg-type]
        except JobError:
            said.append(rank)
        except SystemExit as stop:
            assert stop.code == 1
    assert said == [speaker]


def test_a_standstill_of_the_process_that_keeps_the_store_is_said(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """It answers nobody, and the main thread waits for it."""
    ended: list[int] = []
    monkeypatch.setattr(watch, "GRACE", 0.01)
    monkeypatch.setattr(watch.os, "_exit", ended.append)
    for rank in (1, 2):
        Watch(Launch(rank, 3, address="node7", port=29500), Gone(), 0.04)._run()  # type: ignore[arg-type]
    assert ended == [1, 1]
    said = capsys.readouterr().err
    assert said.count("does not answer") == 1 and "node7 port 29500: process 0" in said


class Frozen(Gone):
    """A store whose keeper stands still: it takes requests and answers none."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def set(self, *arguments) -> None:
        self.released.wait(20.0)

    def check(self, names: list[str]) -> bool:
        return False


def test_a_store_that_never_answers_ends_the_job(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    ended, exits, store = threading.Event(), [], Frozen()
    monkeypatch.setattr(watch.os, "_exit", lambda status: exits.append(status) or ended.set())
    each = Watch(Launch(1, 2, address="node7", port=29500), store, 0.2)  # type: ignore[arg-type]
    each.start()
    try:
        assert ended.wait(10.0)
    finally:
        each._stopped.set()
        each._guard.join()
        before = len(exits)
        store.released.set()
        each._thread.join()  # or it would end the tests when nobody catches it any more
    assert len(exits) == before, "who was told to stop ends nothing when the store answers at last"
    assert "process 0, which the processes of the job meet at, does not answer" in capsys.readouterr().err
