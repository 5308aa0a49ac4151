"""Going on with a run: with which options, and from which of its states."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from multiface.core.errors import ArgumentError
from multiface.train.config import TrainConfig
from multiface.train.digest import differences
from multiface.train.launch import Launch
from multiface.train.run_folder import RunFolder
from multiface.train.run_lock import last_job

# Options that say where and how to run, not what is trained: these may change when a run is resumed.
FREE_ON_RESUME = frozenset(
    {"resume", "json", "device", "n_worker", "cache_gb", "local_rank", "max_iter", "epochs", "log_every", "val_every"}
    | {"overwrite", "result_path", "val_num", "val_batch_size", "drop_broken", "data_dir"}
    | {"override", "save_every", "keep_states", "timeout", "compile", "reading_processes"}
)


def restarted(config: TrainConfig, launch: Launch) -> TrainConfig:
    """The options with which a job goes on that its launcher (torchrun --max-restarts, Slurm --requeue) starts again.

    Nobody changes the command line between the attempts: what an earlier attempt of this very job left in the result folder
    is resumed, or overwritten where it had not come to a checkpoint yet. Runs of other jobs are left alone.
    """
    folder = RunFolder(config.result_path)
    mine = launch.attempt > 0 and launch.job is not None and last_job(folder.path) == launch.job
    if not mine or config.resume is not None:
        return config
    return replace(config, resume=folder.path) if folder.holds_state else replace(config, overwrite=True)


def resumed(config: TrainConfig, folder: RunFolder, named: Collection[str] = ()) -> tuple[TrainConfig, list[str]]:
    """The stored options with what the command line may change, and notes about what else it changed.

    Args:
        config: Options of the command line.
        folder: Of the run.
        named: Options that the command line names; others count as given where they are not the default.

    Raises:
        ArgumentError: the command line differs in an option that belongs to the run, without ``--override``; all are listed.
    """
    stored = folder.require()
    now, defaults = config.to_json(), TrainConfig().to_json()
    given = {name for name in now if name in stored and (name in named or now[name] != defaults[name])}
    different = [name for name in stored if name in given - FREE_ON_RESUME and not _same(now[name], stored[name])]
    notes = [f"--{name} {now[name]} (the run has {stored[name]})" for name in different]
    if different and not config.override:
        raise ArgumentError(
            "a run goes on with the options it began with",
            where=folder.path,
            found="; ".join(notes),
            remedy="Leave these options out, or insist with --override, or start a new run from the weights with --model_ckpt",
        )
    kept = {name: value for name, value in stored.items() if name in now}
    changed = {name: getattr(config, name) for name in (*different, *(given & FREE_ON_RESUME), "override")}
    return TrainConfig.from_json({**kept, **changed, "resume": config.resume, "result_path": folder.path}), notes


def check_same_data(before: Mapping[str, str], now: Mapping[str, str], folder: Path, *, override: bool) -> list[str]:
    """Refuse to go on with a run on other data than it began with.

    Args:
        before, now: See :func:`multiface.train.digest.digests`; only the parts that are no options are compared.
        folder: Of the run.
        override: Whether the user insists.

    Returns:
        Notes about the differences that the user insists on.

    Raises:
        ArgumentError: all differences are listed.
    """
    found = [f"{name} {new} (the run had {old})" for name, old, new in differences(before, now) if not name.startswith("--")]
    found = [] if not before else found
    if found and not override:
        raise ArgumentError(
            "the run began with other data",
            where=folder,
            found="; ".join(found),
            remedy="Give it the data it began with, or insist with --override: what comes then is another training",
        )
    return found


def stored_option(config: TrainConfig, name: str) -> Any:
    """An option that has to be known before everything else: as given, else that of the run to go on with."""
    given = getattr(config, name)
    if config.resume is None or given is not None:
        return given
    return RunFolder(config.resume).require().get(name)


def _same(left: object, right: object) -> bool:
    return list(left) == list(right) if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)) else left == right
