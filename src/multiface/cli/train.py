"""``multiface train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiface.cli.options import named_options, parse
from multiface.cli.output import console, emit_json
from multiface.cli.processes import one_voice, quiet_libraries
from multiface.train.config import TrainConfig

if TYPE_CHECKING:
    from multiface.train.distributed import Group
    from multiface.train.loop import Trainer, TrainResult

DESCRIPTION = (
    "Train a model on a capture: from mesh, average texture and view direction to geometry and view-dependent texture. "
    "Every published option is accepted, underscores or dashes, and abbreviated as long as it is unambiguous. "
    "Under torchrun or srun all processes train one model."
)
ALIASES = {"model_path": "model_ckpt", "framelist": "framelist_train"}


def main(argv: list[str]) -> int:
    quiet_libraries()
    with one_voice():
        config = parse(TrainConfig, argv, command="train", description=DESCRIPTION, first="data_dir", aliases=ALIASES)
        given = named_options(TrainConfig, argv, first="data_dir", aliases=ALIASES)
    with one_voice():
        from multiface.train.devices import choose_device
        from multiface.train.distributed import job
        from multiface.train.launch import read_launch
        from multiface.train.resume import stored_option

        launch = read_launch()
        device = choose_device(stored_option(config, "device"), launch)
    with job(launch, device, config.timeout) as group:
        return _first(config, group, given) if group.is_first else _other(config, group)


def _first(config: TrainConfig, group: Group, given: set[str]) -> int:
    from multiface.cli.training_display import TrainingDisplay, run_training

    with TrainingDisplay(console()) as display:
        trainer, result = run_training(config, display, group, given)
    display.summary(trainer, result)
    if result.interrupted:
        return 130
    if config.json:
        emit_json(json_result(trainer, result))
    return 0


def _other(config: TrainConfig, group: Group) -> int:
    """One of several processes that is not the first: it computes and says nothing."""
    from multiface.train.build import build_trainer
    from multiface.train.observer import NoObserver

    return 130 if build_trainer(config, NoObserver(), group).run().interrupted else 0


def json_result(trainer: Trainer, result: TrainResult) -> dict:
    """What ``--json`` prints."""
    return {
        "checkpoint": str(trainer.folder.model),
        "iterations": result.iterations,
        "processes": trainer.group.world_size,
        "images_per_second": result.images_per_second,
        "losses": result.train,
        "validation": result.validation,
        "best": result.best,
        "discarded": result.discarded,
        "left_out": [entry._asdict() for entry in (*trainer.train_loader.index.skipped, *result.skipped)],
    }
