"""What a training tells people."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiface.cli import run
from multiface.cli.output import console
from multiface.cli.train_all import COLUMNS, _show

ROW = ["m--20180226--0000--6795937--GHS--bilinear", "trained", "200000", "3415.5", "22.64", "0.04926"]


def test_a_resumed_run_says_what_is_made_and_what_keeps_it_from_going_on(
    trainable_capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> str:
        assert run(["train", *words, "--device", "cpu"]) == 0
        return capsys.readouterr().err

    begin = [str(trainable_capture), "--arch", "non", "--nlatent", "4", "--train_batch_size", "2", "--validation", "none"]
    resume = ["--resume", str(tmp_path / "run")]
    assert "are made" not in said(*begin, "--max_iter", "1", "--result_path", str(tmp_path / "run"))
    assert "nothing was left to do: 1 updates are made, and --max_iter 1 allows no more" in said(*resume)
    went_on = said(*resume, "--max_iter", "2")
    assert "2 updates, of which 1 are made" in went_on and "trained 2 updates" in went_on
    to_the_end = [*resume, "--max_iter", "9", "--epochs", "1"]
    assert "trained 6 updates" in said(*to_the_end)
    assert "6 updates are made, and --epochs 1, of 6 updates each, allows no more" in said(*to_the_end)


@pytest.mark.parametrize("columns", [None, "80"])
def test_no_figure_of_a_table_is_cut_off(
    columns: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found in the log of a job: the table was as wide as a terminal, with 0.049… in it."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    tested = {"frozen texture": "20.78", "frozen mesh": "0.04661", "adapted texture": "20.54", "adapted mesh": "0.04512"}
    _show(console(), [*COLUMNS, *tested], [[*ROW, *tested.values()]])
    shown = capsys.readouterr().err
    assert all(word in shown for word in [*ROW[1:], *tested.values()])
    assert shown.count(ROW[0][:12]) == (2 if columns else 1)
