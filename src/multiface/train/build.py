"""From options to a trainer that is ready to run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch

from multiface.core.errors import ArgumentError
from multiface.core.memory import reuse_freed_memory
from multiface.data import BatchLoader
from multiface.models import ModelInfo, build_model
from multiface.train.cameras import camera_table, table_names
from multiface.train.config import TrainConfig
from multiface.train.devices import choose_device
from multiface.train.digest import check_alike, digests
from multiface.train.distributed import ALONE, Group
from multiface.train.loop import Trainer
from multiface.train.observer import Observer
from multiface.train.resume import check_same_data, restarted, resumed
from multiface.train.run_folder import RunFolder
from multiface.train.setup import DataSetup, choose_texture_size, make_normalisation, open_data
from multiface.train.state import read_state
from multiface.train.step import ScreenSettings, Step
from multiface.train.warm_start import load_weights


def build_trainer(config: TrainConfig, observer: Observer, group: Group = ALONE, given: Collection[str] = ()) -> Trainer:
    """Open the data, build the network, and make (or reopen) the result folder.

    Everything that can be wrong with the options or the capture is found before the folder is touched. With several
    processes all call this; what is wrong on one of them ends all.

    Args:
        config: Options.
        observer: Who watches; only that of the first process is told anything.
        group: The processes of the job.
        given: Names of options that the user gave, also where they are the default: a run that is resumed must have them.

    Raises:
        MultifaceError: what does not fit and what to do.
    """
    settled, notes = group.first(lambda: _settled(config, group, given))
    config = settled if group.is_first else _local(config, settled)
    prepared = group.together(lambda: _Prepared(config, group))
    config, data = prepared.config, prepared.data
    torch.manual_seed(config.seed)
    step, info = group.together(lambda: _model_side(config, data, prepared.texture_size, prepared.device))
    index, test = prepared.train_index, prepared.test_index
    seen = digests(config.to_json(), index, test, step.normalisation.state(), data.topology, data.weight)
    group.together(lambda: check_alike(group.gather(seen)))
    folder = RunFolder(config.resume or config.result_path)
    group.first(lambda: _open_folder(folder, config, group))
    if group.is_first:
        data.capture.keep_listings(folder.path)
    try:
        train_loader, test_loader, fit_loader = _loaders(prepared, group)
        trainer = Trainer(
            config=config,
            folder=folder,
            step=step,
            info=info,
            train_loader=train_loader,
            test_loader=test_loader,
            fit_loader=fit_loader,
            device=prepared.device,
            observer=observer,
            group=group,
            digests=seen,
            notes=notes,
        )
        if config.resume is not None:
            _load_state(trainer)
    except BaseException:
        folder.unlock()
        raise
    return trainer


def _loaders(prepared: _Prepared, group: Group) -> tuple[BatchLoader, BatchLoader | None, BatchLoader | None]:
    """Training batches, shared by the processes; test batches, dealt to them; and all of those where they are fitted to."""
    config, data, test = prepared.config, prepared.data, prepared.test_index
    train = data.loader(
        prepared.train_index,
        prepared.batch_size,
        shuffle=True,
        seed=config.seed,
        views_per_frame=config.views_per_frame,
        rank=group.rank,
        world_size=group.world_size,
        shared=True,
        processes=config.reading_processes,
    )
    if test is None:
        return train, None, None
    dealt = data.loader(test, config.val_batch_size, shuffle=False, rank=group.rank, world_size=group.world_size)
    fits = config.validation in ("adapt-copy", "published")
    return train, dealt, data.loader(test, config.val_batch_size, shuffle=False) if fits else None


def _settled(config: TrainConfig, group: Group, given: Collection[str]) -> tuple[TrainConfig, list[str]]:
    """The options that hold, of a fresh or a resumed run, and notes for the user; called on the first process."""
    config = restarted(config, group.launch)
    if config.resume is None:
        return config, []
    config, overridden = resumed(config, RunFolder(config.resume), given)
    return config, [f"changed from what the run began with: {note}" for note in overridden]


def _local(config: TrainConfig, settled: TrainConfig) -> TrainConfig:
    """The options of a process that is not the first: its own, which are compared later; those of the run when it resumes."""
    if settled.resume is None:
        return replace(config, overwrite=settled.overwrite)
    return replace(settled, data_dir=config.data_dir or settled.data_dir, device=config.device or settled.device)


class _Prepared:
    """What a training needs of the data, as far as it can be known without the network."""

    def __init__(self, config: TrainConfig, group: Group) -> None:
        self.device = choose_device(config.device, group.launch)
        if self.device.type == "cpu":
            reuse_freed_memory()
        self.data = open_data(config, photos=config.lambda_screen > 0)
        self.texture_size = choose_texture_size(self.data.capture, config.tex_size)
        self.train_index = self.data.train_index(config.framelist_train)
        self.test_index = None if config.validation == "none" else self.data.test_index()
        self.batch_size = config.total_batch_size or config.train_batch_size * group.world_size
        self.config = replace(config, tex_size=self.texture_size, total_batch_size=self.batch_size)
        for what, there in (("training samples", len(self.train_index)), ("images in a batch", self.batch_size)):
            if group.world_size > there:
                raise ArgumentError(
                    f"there are more processes than {what}",
                    expected=f"at most {there} processes",
                    found=group.world_size,
                    remedy="Start fewer processes" + (", or raise --total_batch_size" if "batch" in what else ""),
                )


def _open_folder(folder: RunFolder, config: TrainConfig, group: Group) -> None:
    """Make the folder this job's own; the first process does it for all."""
    folder.lock(group.launch.job)
    try:
        if config.resume is None:
            folder.create(config.to_json(), overwrite=config.overwrite)
        else:
            folder.write_config({**config.to_json(), "resume": None, "override": False})
    except BaseException:
        folder.unlock()
        raise


def _load_state(trainer: Trainer) -> None:
    """Go on from the newest state that is whole."""
    group, config = trainer.group, trainer.config
    path, complaints = group.first(trainer.checkpoints.newest)
    content = group.together(lambda: read_state(path))
    before, now = content["digests"], trainer.digests
    changed = group.first(lambda: check_same_data(before, now, trainer.folder.path, override=config.override))
    trainer.resume(content)
    if before.get("--lr") != now["--lr"]:  # insisted on: the optimisers remember the rate they had
        trainer.optimisation.set_rate(config.lr, config.lr * config.lr_decay**trainer.position.epoch)
    trainer.notes += [f"changed from what the run began with: {note}" for note in changed]
    trainer.notes += [f"cannot be used: {complaint}" for complaint in complaints]
    if complaints:
        trainer.notes.append(f"going on from {path.name} instead")


def _model_side(config: TrainConfig, data: DataSetup, texture_size: int, device: torch.device) -> tuple[Step, ModelInfo]:
    capture = data.capture
    krt_names = list(capture.cameras)
    names = table_names(krt_names, (*data.split.train, *data.split.test))
    normalisation = make_normalisation(capture, texture_size)
    model = build_model(
        config.arch,
        tex_size=texture_size,
        mesh_inp_size=3 * capture.n_vertices,
        nlatent=config.nlatent,
        n_cams=len(names),
    )
    if config.model_ckpt is not None:
        load_weights(model, config.model_ckpt, names)
    info = ModelInfo(
        arch=config.arch,
        tex_size=texture_size,
        mesh_inp_size=3 * capture.n_vertices,
        nlatent=config.nlatent,
        n_cams=len(names),
        camera_names=names,
        statistics=normalisation.state(),
        topology=capture.topology,
        training={"capture": capture.name, "options": config.to_json()},
    )
    table, _ = camera_table(krt_names, names, len(names))
    step = Step(
        model.to(device, memory_format=torch.channels_last),  # pyright: ignore[reportCallIssue]  (not in the stubs)
        normalisation.to(device),
        capture.topology,
        table.to(device),
        ScreenSettings(
            config.interpolation,
            None if data.weight is None else data.weight.to(device),
            config.screen_weight == "detached",
        ),
    )
    return step, info
