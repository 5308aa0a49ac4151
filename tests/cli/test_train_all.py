"""Many models in one command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from multiface.cli import run
from multiface.train.config import TrainConfig
from multiface.train.many import BEFORE, DONE, FAILED, OwnBoard, Runner, as_words, make_tasks, wait_for_all


@pytest.mark.slow
def test_one_that_fails_leaves_the_others_alone_and_finished_ones_are_skipped(
    trainable_capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(trainable_capture / "KRT", broken)
    words = ["train-all", str(broken), str(trainable_capture), "--archs", "non", "--nlatent", "4", "--max_iter", "1"]
    words += ["--train_batch_size", "2", "--val_num", "0", "--result_path", str(tmp_path / "all"), "--device", "cpu", "--json"]
    assert run(words) == 1
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [model["status"] for model in result["models"]] == [FAILED, DONE] and result["failed"] == 1
    assert "no frames" in result["models"][0]["message"]
    folder = tmp_path / "all" / f"{trainable_capture.name}--non"
    assert (folder / "model.safetensors").is_file() and "1 updates" in (folder / "train.log").read_text()
    assert run([words[0], *words[2:]]) == 0  # without the broken one
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["models"][0]["status"] == BEFORE
    assert trainable_capture.name in (tmp_path / "all" / "models.md").read_text()


def test_options_become_the_words_that_give_them_back() -> None:
    config = TrainConfig(lr=1e-4, drop_broken=False, resolution=(20, 30), max_iter=5, compile=False, camera_setting="mine")
    words = as_words(config, TrainConfig())
    from multiface.cli.options import parse

    assert parse(TrainConfig, words, command="train", description="") == config


def test_processes_share_out_the_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = make_tasks([Path("a"), Path("b"), Path("c")], ["non"], tmp_path)
    monkeypatch.setattr(Runner, "_command", lambda self, name, words, folder, stop: folder.mkdir() or {"iterations": 1})
    board = OwnBoard()
    assert board.next_task() == 0  # another process has this one
    runner = Runner(tasks, TrainConfig(), board, None, "none", lambda line: None)
    assert not runner.run()
    outcomes = wait_for_all(board, tasks, stopped=lambda: True)
    assert [outcome.status for outcome in outcomes] == ["stopped", DONE, DONE]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no captures were given"),
        (["a/x", "b/x"], "captures of the same name"),
        (["x", "--resume", "y"], "options of one training"),
        (["x", "--capture_list", "nowhere.txt"], "is not there"),
    ],
)
def test_wrong_input(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train-all", *words]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
