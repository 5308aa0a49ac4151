"""A mistake of the user: one clear message, exit status 2, no traceback, nothing half-written."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from multiface.cli import run


@pytest.fixture
def capture(trainable_capture: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trainable_capture, tmp_path / "capture"))


def refused(capsys: pytest.CaptureFixture, argv: list[str]) -> str:
    """Run a command that must be refused; returns its message."""
    status = run([str(word) for word in argv])
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return " ".join(captured.err.split())


def train_words(capture: Path, tmp_path: Path, *more: str) -> list[str]:
    return ["train", str(capture), "--result_path", str(tmp_path / "run"), "--nlatent", "4", "--max_iter", "1", *more]


def left_nothing(tmp_path: Path) -> bool:
    return not (tmp_path / "run").exists()


def test_no_such_folder(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    message = refused(capsys, train_words(tmp_path / "nowhere", tmp_path))
    assert "nowhere" in message and "no such folder" in message
    assert left_nothing(tmp_path)


def test_no_capture_given(capsys: pytest.CaptureFixture) -> None:
    assert "--data_dir" in refused(capsys, ["train"])


def test_unknown_command_and_no_command(capsys: pytest.CaptureFixture) -> None:
    assert "Did you mean 'train'" in refused(capsys, ["trian"])


@pytest.mark.parametrize("spoil", ["cut", "twice"])
def test_calibration_that_cannot_be_used(capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path, spoil: str) -> None:
    text = (capture / "KRT").read_text()
    lines = text.splitlines()
    (capture / "KRT").write_text("\n".join(lines[:-4]) if spoil == "cut" else text + "\n" + text)
    message = refused(capsys, train_words(capture, tmp_path))
    assert "KRT" in message and "line" in message
    assert left_nothing(tmp_path)


def test_a_mesh_of_the_wrong_length(capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path) -> None:
    (capture / "vert_mean.bin").write_bytes(b"\0" * 13)
    message = refused(capsys, train_words(capture, tmp_path))
    assert "vert_mean.bin" in message and "13" in message
    assert left_nothing(tmp_path)


def test_textures_of_the_wrong_size(capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path) -> None:
    from multiface.capture import read_image, write_image

    for path in capture.glob("unwrapped_uv_256/*/*/*.png"):
        write_image(path, read_image(path)[:128])
    message = refused(capsys, train_words(capture, tmp_path, "--no-drop_broken"))
    assert "256" in message and "128" in message and ".png" in message


def test_a_missing_statistic_says_how_to_make_it(capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path) -> None:
    (capture / "tex_var.txt").unlink()
    message = refused(capsys, train_words(capture, tmp_path))
    assert "tex_var.txt" in message and "multiface unwrap" in message
    assert left_nothing(tmp_path)


def test_a_test_segment_file_that_matches_nothing_names_the_nearest(capsys, capture: Path, tmp_path: Path) -> None:
    config = tmp_path / "segments.json"
    config.write_text(json.dumps({"segment": ["EXP_ROM08"]}))
    message = refused(capsys, train_words(capture, tmp_path, "--test_segment", str(config)))
    assert "segments.json" in message and "EXP_ROM07_Facial_Expressions" in message
    assert left_nothing(tmp_path)


def test_an_empty_training_set(capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path) -> None:
    config = tmp_path / "segments.json"
    config.write_text(json.dumps({"segment": ["E", "S"]}))
    assert "nothing for training" in refused(capsys, train_words(capture, tmp_path, "--test_segment", str(config)))
    assert left_nothing(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arch", "vae"], "vae"),
        (["--tex_size", "1000"], "256, 512, 1024, 2048"),
        (["--mesh_inp_size", "21918"], "--mesh_inp_size does not fit"),
        (["--lambda_tex", "0", "--lambda_verts", "0"], "nothing to learn"),
        (["--device", "warp9"], "--device"),
        (["--lr", "-1"], "--lr must be above 0"),
        (["--model_ckpt", "/nowhere.pth"], "no such checkpoint"),
        (["--loss_weight_mask", "/nowhere.png", "--lambda_screen", "1"], "/nowhere.png"),
        (["--camera_config", "/nowhere.json"], "/nowhere.json"),
        (["--krt_dir", "/nowhere/KRT"], "/nowhere/KRT"),
        (["--framelist_train", "/nowhere.txt"], "/nowhere.txt"),
        (["--resume", "/nowhere"], "there is no run to go on with"),
        (["--lambda", "1"], "ambiguous"),
    ],
)
def test_options_that_cannot_be(capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path, words, message: str) -> None:
    assert message in refused(capsys, train_words(capture, tmp_path, *words))
    assert left_nothing(tmp_path)


def test_an_output_folder_that_cannot_be_made(capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    message = refused(capsys, ["train", str(capture), "--result_path", str(tmp_path / "file" / "run"), "--max_iter", "1"])
    assert "cannot be written" in message


def test_a_full_disk_stops_with_a_message_and_keeps_the_last_checkpoint(
    capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from multiface.core import files

    assert run(train_words(capture, tmp_path)) == 0
    capsys.readouterr()
    before = (tmp_path / "run" / "model.safetensors").read_bytes()

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_flush", full)
    message = refused(capsys, ["train", "--resume", str(tmp_path / "run"), "--max_iter", "2"])
    assert "no space left" in message
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


class Payload:
    """A pickle of this would run code when loaded carelessly."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "pickle", "torch pickle", "folder", "missing"])
def test_checkpoints_that_are_none(capsys, capture: Path, trained_run: Path, tmp_path: Path, kind: str) -> None:
    path, trap = tmp_path / "model.pth", tmp_path / "ran"
    good = (trained_run / "model.safetensors").read_bytes()
    if kind == "torch pickle":
        import torch

        torch.save({"module.enc": Payload(trap)}, path)
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        content = {"text": b"hello there, no model here", "empty": b"", "truncated": good[: len(good) // 2]}
        path.write_bytes(content.get(kind) or (pickle.dumps(Payload(trap)) if kind == "pickle" else b""))
    message = refused(capsys, ["test", str(capture), "--model_path", str(path), "--result_path", str(tmp_path / "run")])
    assert "model.pth" in message
    assert not trap.exists()
    assert left_nothing(tmp_path)


def test_a_checkpoint_of_another_size(capsys: pytest.CaptureFixture, capture: Path, trained_run: Path, tmp_path: Path) -> None:
    words = ["test", str(capture), "--model_path", str(trained_run / "model.safetensors"), "--tex_size", "1024"]
    assert "tex_size 256, not 1024" in refused(capsys, [*words, "--result_path", str(tmp_path / "run")])


def test_a_loss_that_is_no_number_stops_and_says_which_batch(
    capsys: pytest.CaptureFixture, capture: Path, tmp_path: Path
) -> None:
    words = ["train", str(capture), "--result_path", str(tmp_path / "run"), "--nlatent", "4", "--arch", "non", "--lr", "1e30"]
    message = refused(capsys, [*words, "--max_iter", "50", "--val_every", "100"])
    assert "iteration" in message and "batch of" in message and "--lr" in message


def test_several_processes_do_not_write_over_each_other(capsys, capture: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "one process" in refused(capsys, train_words(capture, tmp_path))
    assert left_nothing(tmp_path)


def test_from_the_command_line_it_is_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "multiface", "train", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "nowhere" in done.stderr and "Traceback" not in done.stderr
