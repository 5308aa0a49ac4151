"""Whole trainings on a small capture, through the classes that the command uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from multiface.core.errors import ArgumentError, CheckpointError, DivergenceError
from multiface.models import load_model
from multiface.train.build import build_trainer
from multiface.train.config import TrainConfig
from multiface.train.log import read_log
from multiface.train.loop import Trainer, TrainResult


class Watcher:
    """Observer that remembers what it was told and can act after an update."""

    def __init__(self, after=None) -> None:
        self.losses: list[float] = []
        self.validations: list[int] = []
        self.tags: list[str] = []
        self._after = after

    def updated(self, position, values, images_per_second) -> None:
        self.losses.append(values["total"])
        if self._after is not None:
            self._after(position)

    def logged(self, iteration, values) -> None: ...

    def validated(self, iteration, values, best) -> None:
        self.validations.append(iteration)

    def pictures(self, tag, prediction, batch) -> None:
        self.tags.append(tag)


@pytest.fixture
def config(trainable_capture: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data_dir=trainable_capture,
        result_path=tmp_path / "run",
        arch="non",
        nlatent=8,
        train_batch_size=4,
        max_iter=6,
        log_every=2,
        val_every=3,
        n_worker=1,
    )


def train(config: TrainConfig, watcher: Watcher | None = None) -> tuple[Trainer, TrainResult]:
    trainer = build_trainer(config, watcher or Watcher())
    return trainer, trainer.run()


def test_a_run_learns_and_leaves_checkpoints_log_and_configuration(config: TrainConfig) -> None:
    watcher = Watcher()
    trainer, result = train(replace(config, max_iter=30, lr=1e-3, nlatent=16), watcher)
    assert result.iterations == 30
    assert sum(watcher.losses[-3:]) < 0.9 * sum(watcher.losses[:3])
    model = load_model(trainer.folder.model)
    assert model.info.camera_names == tuple(trainer.train_loader.capture.cameras)
    assert model.info.topology is not None and model.info.statistics is not None
    assert load_model(trainer.folder.best_model).info.arch == "non"
    kinds = {line["kind"] for line in read_log(trainer.folder.log)}
    assert kinds == {"train", "val"}
    assert json.loads(trainer.folder.config.read_text())["nlatent"] == 16


def test_the_same_seed_gives_the_same_model_and_another_seed_another(config: TrainConfig, tmp_path: Path) -> None:
    states = []
    for number, seed in enumerate((1, 1, 2)):
        trainer, _ = train(replace(config, seed=seed, result_path=tmp_path / str(number)))
        states.append(trainer.step.model.state_dict()["enc.fc.weight"].clone())
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize("screen", [0.0, 1.0])
def test_stopped_and_resumed_equals_undisturbed_bit_for_bit(config: TrainConfig, tmp_path: Path, screen: float) -> None:
    config = replace(config, lambda_screen=screen)
    whole, _ = train(replace(config, result_path=tmp_path / "whole"))

    def interrupt(position) -> None:
        if position.iteration == 4:
            os.kill(os.getpid(), signal.SIGINT)

    first, stopped = train(config, Watcher(interrupt))
    assert stopped.interrupted and stopped.iterations == 4
    torch.manual_seed(12345)
    resumed, result = train(TrainConfig(resume=first.folder.path))
    assert result.iterations == 6 and not result.interrupted
    for key, value in whole.step.model.state_dict().items():
        assert torch.equal(value, resumed.step.model.state_dict()[key]), key
    steps = [line["iteration"] for line in read_log(resumed.folder.log) if line["kind"] == "train"]
    assert steps == sorted(set(steps))


def test_ten_updates_are_five_a_crash_and_five_more_bit_for_bit(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, max_iter=10, val_every=100, save_every=4)  # the checkpoint after update 4, counted from 0
    whole, _ = train(replace(config, result_path=tmp_path / "whole"))

    def crash(position) -> None:
        if position.iteration == 7:
            raise MemoryError

    with pytest.raises(MemoryError):
        train(config, Watcher(crash))
    resumed = build_trainer(TrainConfig(resume=config.result_path), Watcher())
    assert resumed.position.iteration == 5
    resumed.run()
    for key, value in whole.step.model.state_dict().items():
        assert torch.equal(value, resumed.step.model.state_dict()[key]), key
    left, right = (list(read_log(trainer.folder.log)) for trainer in (whole, resumed))
    assert left == right


def test_options_and_data_that_changed_can_be_insisted_on(config: TrainConfig, trainable_capture: Path, tmp_path: Path) -> None:
    train(replace(config, max_iter=2, val_every=100))
    smaller = tmp_path / "smaller"
    shutil.copytree(trainable_capture, smaller)
    sorted(smaller.glob("unwrapped_uv_256/E001*/4*/*.png"))[0].unlink()
    again = TrainConfig(resume=config.result_path, data_dir=smaller, max_iter=3)
    with pytest.raises(ArgumentError, match=r"other data \(found training samples 11 samples \w+ \(the run had 12 samples"):
        build_trainer(again, Watcher())
    trainer, result = train(replace(again, override=True, lr=1e-4))
    assert result.iterations == 3
    assert len(trainer.notes) == 2 and "--lr 0.0001 (the run has 0.0003)" in trainer.notes[0]
    assert trainer.optimisation.learning_rate == pytest.approx(1e-4)


def test_an_option_that_is_named_counts_also_where_it_is_the_default(config: TrainConfig) -> None:
    train(replace(config, max_iter=2, val_every=100, lr=1e-3))
    again = TrainConfig(resume=config.result_path)
    with pytest.raises(ArgumentError, match=r"--lr 0.0003 \(the run has 0.001\)"):
        build_trainer(again, Watcher(), given={"resume", "lr"})
    trainer = build_trainer(again, Watcher(), given={"resume", "max_iter"})
    trainer.close()
    assert trainer.config.lr == 1e-3 and trainer.config.max_iter == TrainConfig().max_iter


def test_two_trainings_do_not_write_to_one_folder_at_a_time(config: TrainConfig) -> None:
    first = build_trainer(replace(config, max_iter=1), Watcher())
    with pytest.raises(ArgumentError, match="still running"):
        build_trainer(replace(config, overwrite=True), Watcher())
    first.run()
    train(replace(config, max_iter=1, overwrite=True))


def test_resuming_with_other_options_is_refused_with_the_differences(config: TrainConfig) -> None:
    trainer, _ = train(replace(config, max_iter=1))
    with pytest.raises(ArgumentError, match=r"--nlatent 16 \(the run has 8\)"):
        build_trainer(TrainConfig(resume=trainer.folder.path, nlatent=16), Watcher())


def test_resuming_longer_goes_on(config: TrainConfig) -> None:
    trainer, _ = train(replace(config, max_iter=2))
    trainer, result = train(TrainConfig(resume=trainer.folder.path, max_iter=4))
    assert result.iterations == 4
    trainer.config = replace(trainer.config, max_iter=5)  # and so does the same trainer
    assert trainer.run().iterations == 5


def test_a_damaged_state_is_passed_over_for_the_one_before_and_that_is_said(config: TrainConfig) -> None:
    trainer, _ = train(replace(config, max_iter=5, save_every=2, val_every=100))
    states = sorted(trainer.folder.states.glob("*.safetensors"))
    assert [path.stem for path in states] == ["00000003", "00000005"]  # after update 2, counted from 0, and at the end
    content = states[1].read_bytes()
    states[1].write_bytes(content[: len(content) // 2])
    resumed = build_trainer(TrainConfig(resume=trainer.folder.path), Watcher())
    assert resumed.position.iteration == 3
    assert "00000005.safetensors is cut off" in resumed.notes[0] and "00000003" in resumed.notes[1]
    resumed.folder.unlock()
    states[0].write_bytes(states[0].read_bytes()[:-1] + b"\xff")
    with pytest.raises(CheckpointError, match=r"no training state .*cut off.*SHA-256 differs"):
        build_trainer(TrainConfig(resume=trainer.folder.path), Watcher())


def test_an_existing_run_is_not_overwritten_unless_asked(config: TrainConfig) -> None:
    trainer, _ = train(replace(config, max_iter=1))
    before = trainer.folder.model.read_bytes()
    with pytest.raises(ArgumentError, match="already holds a run"):
        build_trainer(config, Watcher())
    assert trainer.folder.model.read_bytes() == before
    train(replace(config, max_iter=1, overwrite=True))


def test_a_loss_that_is_no_number_stops_names_the_batch_and_keeps_the_checkpoint(config: TrainConfig) -> None:
    trainer = build_trainer(replace(config, max_iter=8), Watcher(_spoil_after(5)))
    Watcher.model = trainer.step.model  # type: ignore[attr-defined]
    with pytest.raises(DivergenceError, match=r"iteration 5, batch of \w+/\d{6} camera"):
        trainer.run()
    assert all(value.isfinite().all() for value in load_model(trainer.folder.model).state_dict().values())


def _spoil_after(iteration: int):
    """Make the weights NaN after an update, as a faulty device or an overflow would."""

    def act(position) -> None:
        if position.iteration == iteration:
            with torch.no_grad():
                Watcher.model.dec.mesh_fc.bias.fill_(float("nan"))  # type: ignore[attr-defined]

    return act


def test_a_truncated_texture_is_left_out_named_and_counted(
    config: TrainConfig, trainable_capture: Path, tmp_path: Path
) -> None:
    root = tmp_path / "broken"
    shutil.copytree(trainable_capture, root)
    victim = sorted(root.glob("unwrapped_uv_256/E001*/4*/*.png"))[0]
    victim.write_bytes(victim.read_bytes()[:2000])
    trainer, result = train(replace(config, data_dir=root))
    assert result.iterations == 6
    assert [victim.name in what or victim.parent.name in what for what, _ in trainer.train_loader.skipped] == [True]


def test_warm_start_takes_weights_and_matches_cameras_by_name(config: TrainConfig, tmp_path: Path) -> None:
    trainer, _ = train(replace(config, lr=1e-2))
    with torch.no_grad():
        started = build_trainer(replace(config, model_ckpt=trainer.folder.model, result_path=tmp_path / "two"), Watcher())
    for key, value in load_model(trainer.folder.model).state_dict().items():
        assert torch.equal(started.step.model.state_dict()[key], value), key
    with pytest.raises(CheckpointError, match="nlatent 8, not 4"):
        build_trainer(replace(config, model_ckpt=trainer.folder.model, nlatent=4, result_path=tmp_path / "x"), Watcher())


@pytest.mark.parametrize("mode", ["frozen", "adapt-copy", "published"])
def test_only_published_validation_changes_the_model_being_trained(config: TrainConfig, mode: str, tmp_path: Path) -> None:
    plain, _ = train(replace(config, result_path=tmp_path / "plain", max_iter=4, val_every=2))
    other, _ = train(replace(config, result_path=tmp_path / "other", max_iter=4, val_every=2, validation=mode))
    same = torch.equal(plain.step.model.cc.weight, other.step.model.cc.weight)
    assert same == (mode != "published")


@pytest.mark.parametrize("arch", ["base", "res", "warp", "bilinear"])
def test_every_architecture_trains_with_the_screen_loss(config: TrainConfig, arch: str) -> None:
    _, result = train(replace(config, arch=arch, max_iter=1, lambda_screen=1.0))
    assert result.iterations == 1 and result.train["screen"] > 0


def test_views_of_one_frame_are_trained_together(config: TrainConfig) -> None:
    trainer = build_trainer(replace(config, views_per_frame=2), Watcher())
    batch = next(iter(trainer.train_loader))
    assert len(batch.keys) == 2 and len(batch) == 4
