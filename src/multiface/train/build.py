"""From options to a trainer that is ready to run."""

from __future__ import annotations

import os
from dataclasses import replace

import torch

from multiface.core.errors import ArgumentError
from multiface.core.memory import reuse_freed_memory
from multiface.models import ModelInfo, build_model
from multiface.train.cameras import camera_table, table_names
from multiface.train.config import TrainConfig
from multiface.train.loop import Observer, Trainer
from multiface.train.run_folder import RunFolder
from multiface.train.setup import DataSetup, choose_texture_size, make_normalisation, open_data
from multiface.train.step import ScreenSettings, Step
from multiface.train.warm_start import load_weights

# Options that say where and how to run, not what is trained: these may change when a run is resumed.
FREE_ON_RESUME = frozenset(
    {"resume", "json", "device", "n_worker", "cache_gb", "local_rank", "max_iter", "epochs", "log_every", "val_every"}
    | {"overwrite", "result_path", "val_num", "val_batch_size", "drop_broken", "data_dir"}
)


def choose_device(name: str | None) -> torch.device:
    """The device asked for, else this process's GPU, else the CPU.

    Raises:
        ArgumentError: there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError(
            "--device cannot be used here",
            found=name,
            expected="cpu, or cuda where PyTorch sees a GPU",
            remedy="`multiface doctor` shows the devices",
        ) from error
    return device


def build_trainer(config: TrainConfig, observer: Observer) -> Trainer:
    """Open the data, build the network, and make (or reopen) the result folder.

    Everything that can be wrong with the options or the capture is found before the folder is touched.

    Raises:
        MultifaceError: what does not fit and what to do.
    """
    _refuse_several_processes()
    folder = RunFolder(config.resume or config.result_path)
    if config.resume is not None:
        config = _resumed(config, folder)
    device = choose_device(config.device)
    if device.type == "cpu":
        reuse_freed_memory()
    data = open_data(config, photos=config.lambda_screen > 0)
    texture_size = choose_texture_size(data.capture, config.tex_size)
    train_index = data.train_index(config.framelist_train)
    test_index = None if config.validation == "none" else data.test_index()
    config = replace(config, tex_size=texture_size)

    torch.manual_seed(config.seed)
    step, info = _model_side(config, data, texture_size, device)
    if config.resume is None:
        folder.create(config.to_json(), overwrite=config.overwrite)
    trainer = Trainer(
        config=config,
        folder=folder,
        step=step,
        info=info,
        train_loader=data.loader(
            train_index, config.train_batch_size, shuffle=True, seed=config.seed, views_per_frame=config.views_per_frame
        ),
        test_loader=None if test_index is None else data.loader(test_index, config.val_batch_size, shuffle=False),
        device=device,
        observer=observer,
    )
    if config.resume is not None:
        trainer.resume()
    return trainer


def _refuse_several_processes() -> None:
    """A launcher may start us, as one process; several would write over each other's run."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ArgumentError(
            "training runs as one process",
            found=f"WORLD_SIZE={os.environ['WORLD_SIZE']}",
            remedy="Start it with one process (--nproc_per_node=1), or without a launcher",
        )


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


def _resumed(config: TrainConfig, folder: RunFolder) -> TrainConfig:
    """The stored options with what the command line may change; a difference in anything else is refused, listed."""
    stored = folder.require()
    now = config.to_json()
    defaults = TrainConfig().to_json()
    differences = [
        f"--{name} {now[name]} (the run has {stored.get(name)})"
        for name in stored
        if name not in FREE_ON_RESUME and name in now and now[name] != defaults[name] and not _same(now[name], stored[name])
    ]
    if differences:
        raise ArgumentError(
            "a run goes on with the options it began with",
            where=folder.path,
            found="; ".join(differences),
            remedy="Leave these options out, or start a new run from the weights with --model_ckpt",
        )
    kept = {name: value for name, value in stored.items() if name in now and name not in FREE_ON_RESUME}
    changed = {name: getattr(config, name) for name in FREE_ON_RESUME if now.get(name) != defaults.get(name)}
    free = {name: stored[name] for name in FREE_ON_RESUME if name in stored and name not in changed}
    return TrainConfig.from_json({**kept, **free, **changed, "resume": config.resume, "result_path": folder.path})


def _same(left: object, right: object) -> bool:
    return list(left) == list(right) if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)) else left == right
