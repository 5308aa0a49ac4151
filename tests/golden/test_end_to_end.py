"""The main job from the command line, on a small capture of the virtual stage: every architecture, every JSON result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiface.cli import run
from multiface.models import load_model

pytestmark = pytest.mark.slow
REGIONS = {f"mesh_mm_{name}" for name in ("lips", "eyes", "nose", "rest")}
MEASURED = {"tex", "tex_denorm", "tex_psnr", "mesh", "mesh_mm", "screen", "psnr", "ssim"} | REGIONS


def run_json(capsys: pytest.CaptureFixture, *words: object) -> dict:
    """Run a command with --json; the last line of stdout is its result, people are spoken to on stderr."""
    capsys.readouterr()
    assert run([*map(str, words), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    return json.loads(lines[-1])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stage") / "capture"
    small = "--segments 3 --frames-per-segment 3 --n-cameras 3 --image-size 64 48 --tex-size 256 --seed 1"
    assert run(["synth", str(out), *small.split()]) == 0
    return out


def test_what_the_stage_writes_has_no_problems(stage: Path, capsys: pytest.CaptureFixture) -> None:
    report = run_json(capsys, "inspect", stage)
    assert report["problems"] == []
    assert report["frames"] == 9 and sum(report["segments"].values()) == 9
    assert "EXP_ROM07_Facial_Expressions" in report["segments"]


@pytest.mark.parametrize("arch", ["base", "res", "warp", "non", "bilinear"])
def test_every_architecture_trains_and_is_tested(arch: str, stage: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["train", stage, "--arch", arch, "--nlatent", 8, "--result_path", tmp_path / "run", "--train_batch_size", 4]
    trained = run_json(capsys, *words, "--max_iter", 3, "--lambda_screen", 1)
    assert trained["iterations"] == 3 and trained["images_per_second"] > 0
    assert {"verts", "tex", "screen", "kl"} <= trained["losses"].keys()
    assert load_model(trained["checkpoint"]).info.arch == arch

    model = ["--model_path", trained["checkpoint"], "--result_path", tmp_path / "test"]
    tested = run_json(capsys, "test", stage, *model, "--passes", 2, "--val_num", 1)
    assert tested["samples"] == 9
    assert set(tested["frozen"]) == set(tested["adapted"]) == MEASURED
    assert all(isinstance(value, float) for value in tested["frozen"].values())
    assert len((tmp_path / "test" / "result.txt").read_text().splitlines()) == 5


def test_only_what_was_asked_for_is_measured(stage: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    trained = run_json(capsys, "train", stage, "--nlatent", 4, "--result_path", tmp_path / "run", "--max_iter", 1)
    words = ["test", stage, "--model_path", trained["checkpoint"], "--result_path", tmp_path / "t", "--report", "frozen"]
    tested = run_json(capsys, *words)
    assert tested["adapted"] is None and tested["frozen"]["tex"] > 0


def test_photos_and_meshes_alone_become_a_capture_that_trains(
    stage: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("KRT", "frame_list.txt", "images", "tracked_mesh"):
        (bare / name).symlink_to(stage / name)
    made = run_json(capsys, "unwrap", bare, "--out", tmp_path / "whole", "--tex_size", 256)
    assert made["frames"] == 9 and made["textures"] == 27
    words = ["train", tmp_path / "whole", "--nlatent", 4, "--max_iter", 1, "--result_path", tmp_path / "run"]
    assert run_json(capsys, *words)["iterations"] == 1
