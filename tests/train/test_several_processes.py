"""Several processes train what one would train, and end together."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest
import torch.distributed as dist

from multiface.train.build import build_trainer
from multiface.train.config import TrainConfig
from multiface.train.observer import NoObserver

SCRIPT = Path(__file__).with_name("one_of_several.py")


class Recorder(NoObserver):
    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []

    def updated(self, position, values, images_per_second) -> None:
        self.losses.append(values)


@pytest.fixture(scope="module")
def options(trainable_capture: Path) -> TrainConfig:
    """Batches of 5 of 12 samples: shares differ in size, and with four processes some have nothing of the last batch."""
    return TrainConfig(
        data_dir=trainable_capture,
        arch="non",
        nlatent=8,
        total_batch_size=5,
        max_iter=4,
        val_every=100,
        log_every=100,
        n_worker=1,
        lr=1e-3,
        device="cpu",
    )


def run_job(folder: Path, world_size: int, tasks: list[dict]) -> list[list[dict]]:
    """Outcomes of the tasks, by task and rank."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    plan = {"world_size": world_size, "port": store.port, "tasks": tasks}
    file = folder / "job.json"
    file.write_text(json.dumps(plan))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    commands = [[sys.executable, str(SCRIPT), str(file), str(rank)] for rank in range(world_size)]
    running = [subprocess.Popen(c, env=environment, stderr=subprocess.PIPE, text=True) for c in commands]
    said = [process.communicate(timeout=300)[1] for process in running]
    assert running[0].returncode == 0, "\n".join(said)
    by_rank = [json.loads((folder / f"job-{rank}.json").read_text()) for rank in range(world_size)]
    return [list(outcomes) for outcomes in zip_longest(*by_rank)]


def task(config: TrainConfig, **more) -> dict:
    return {"options": config.to_json(), **more}


def alone(config: TrainConfig) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Losses of every update and the validation of one process."""
    recorder = Recorder()
    result = build_trainer(config, recorder).run()
    return recorder.losses, result.validation


def assert_close(one: list[dict[str, float]], other: list[dict[str, float]]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other):
        assert left == pytest.approx(right, rel=2e-4, abs=2e-6)


@pytest.fixture(scope="module")
def by_one(options: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    return alone(replace(options, result_path=tmp_path_factory.mktemp("one") / "run"))


@pytest.fixture(scope="module")
def by_two(options: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    """Everything that two processes are asked to do, in one launch: name of the task -> outcome by rank."""
    folder = tmp_path_factory.mktemp("two")
    broken = folder / "broken"
    shutil.copytree(options.data_dir, broken)
    texture = sorted(broken.glob("unwrapped_uv_256/E001*/4*/*.png"))[0]
    texture.write_bytes(texture.read_bytes()[:2000])
    other = folder / "other"
    shutil.copytree(options.data_dir, other)
    sorted(other.glob("unwrapped_uv_256/E001*/4*/*.png"))[0].unlink()
    resumable = folder / "resumable"
    build_trainer(replace(options, max_iter=2, result_path=resumable), NoObserver()).run()
    named = {
        name: replace(options, result_path=folder / name)
        for name in ("same", "published", "shard", "differ", "nan", "none", "killed")
    }
    resumed = {"resume": str(resumable), "max_iter": 4}
    tasks = {
        "same": task(named["same"]),
        "published": task(replace(named["published"], validation="published", views_per_frame=2, max_iter=2)),
        "shard": task(replace(named["shard"], data_dir=broken)),
        "differ": task(named["differ"], options_of_rank={"1": {"data_dir": str(other)}}),
        "nan": task(named["nan"], spoil_after=2),
        "none": task(replace(named["none"], data_dir=folder / "nowhere")),
        "resumed": {"options": resumed},
        "greedy": task(replace(options, result_path=folder / "greedy", total_batch_size=1)),
        "killed": task(replace(named["killed"], save_every=1), die_after={"1": 3}),  # the last one: a process is lost
    }
    outcomes: dict = dict(zip(tasks, run_job(folder, 2, list(tasks.values()))))
    return {**outcomes, "folder": folder, "texture": texture}


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(by_one: tuple, by_two: dict) -> None:
    first, second = by_two["same"]
    assert_close(first["losses"], by_one[0])
    assert first["validation"] == pytest.approx(by_one[1], rel=2e-4) and second["validation"] == first["validation"]
    assert first["equal_weights"] and second["losses"] == first["losses"]


@pytest.mark.slow
def test_four_processes_learn_what_one_learns(options: TrainConfig, by_one: tuple, tmp_path: Path) -> None:
    (outcomes,) = run_job(tmp_path, 4, [task(replace(options, result_path=tmp_path / "run"))])
    assert_close(outcomes[0]["losses"], by_one[0])
    assert outcomes[0]["equal_weights"] and outcomes[0]["validation"] == pytest.approx(by_one[1], rel=2e-4)


@pytest.mark.slow
def test_published_validation_and_whole_frames_are_those_of_one(options: TrainConfig, by_two: dict, tmp_path: Path) -> None:
    config = replace(options, validation="published", views_per_frame=2, max_iter=2, result_path=tmp_path / "run")
    losses, validation = alone(config)
    assert_close(by_two["published"][0]["losses"], losses)
    assert by_two["published"][0]["validation"] == pytest.approx(validation, rel=1e-3)


@pytest.mark.slow
def test_a_bad_image_on_one_process_is_left_out_and_reported_by_the_first(by_two: dict) -> None:
    first, second = by_two["shard"]
    assert first["iterations"] == second["iterations"] == 4 and first["equal_weights"]
    assert len(first["skipped"]) == 1 and by_two["texture"].name in str(first["skipped"])


@pytest.mark.slow
def test_processes_that_see_different_captures_are_refused_by_one_message(by_two: dict) -> None:
    first, second = by_two["differ"]
    assert "do not see the same training" in first["error"]
    assert "training samples: 12 samples" in first["error"] and "11 samples" in first["error"]
    assert second == {"exit": 2}
    assert not (by_two["folder"] / "differ").exists()


@pytest.mark.slow
def test_a_mistake_of_the_user_is_one_message(by_two: dict) -> None:
    first, second = by_two["none"]
    assert "nowhere" in first["error"] and second == {"exit": 2}
    assert "more processes than images in a batch" in by_two["greedy"][0]["error"]


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_all_and_names_every_share_of_the_batch(by_two: dict) -> None:
    first, second = by_two["nan"]
    assert re.search(r"iteration 2, batch of \w+/\d+ camera [^;]+; \w+/\d+ camera [^;]+: the loss", first["error"])
    assert second == {"exit": 2}


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(by_one: tuple, by_two: dict) -> None:
    assert_close(by_two["resumed"][0]["losses"], by_one[0][2:])


def launch_words(config: TrainConfig, folder: Path) -> list[str]:
    return [
        "train", str(config.data_dir), "--result_path", str(folder), "--arch", "non", "--nlatent", "4", "--device", "cpu",
        "--total_batch_size", "4", "--n_worker", "1", "--max_iter", "12", "--save_every", "3", "--val_every", "100",
    ]  # fmt: skip


class Killer:
    """Kills a process of a job by its rank once the run folder holds a checkpoint."""

    @staticmethod
    def wait_for_state(folder: Path, process: subprocess.Popen) -> None:
        while process.poll() is None and not any((folder / "states").glob("*.json")):
            pass

    @staticmethod
    def child(parent: int, rank: int) -> int:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if entry.joinpath("stat").read_text().rpartition(")")[2].split()[1] != str(parent):
                    continue
                if f"\0RANK={rank}\0" in "\0" + entry.joinpath("environ").read_text():
                    return int(entry.name)
            except OSError:
                continue
        raise AssertionError("no such process")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find a process by its rank")
def test_a_killed_process_costs_no_more_than_the_updates_since_the_checkpoint(options: TrainConfig, tmp_path: Path) -> None:
    """torchrun starts the job again, and it goes on by itself."""
    folder = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--max_restarts=1"]
    words = launch_words(options, folder)
    words[words.index("--max_iter") + 1] = "60"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*torchrun, "-m", "multiface", *words]
    job = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    Killer.wait_for_state(folder, job)
    os.kill(Killer.child(job.pid, rank=1), signal.SIGKILL)
    said = job.communicate(timeout=300)[1]
    assert job.returncode == 0, said
    assert "trained 60 updates" in said
    steps = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in steps if line["kind"] == "train"] == [0, 10, 20, 30, 40, 50]


@pytest.mark.slow
def test_the_survivor_of_a_killed_process_ends_by_itself_and_says_why(by_two: dict) -> None:
    first, second = by_two["killed"]
    assert "a process of the job ended without a word" in first["error"] and second is None
    assert any((by_two["folder"] / "killed" / "states").glob("*.json"))
