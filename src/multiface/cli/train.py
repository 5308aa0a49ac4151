"""``multiface train``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.train.config import TrainConfig

if TYPE_CHECKING:
    from multiface.train.loop import Trainer, TrainResult

DESCRIPTION = (
    "Train a model on a capture: from mesh, average texture and view direction to geometry and view-dependent texture. "
    "Every published option is accepted, underscores or dashes, and abbreviated as long as it is unambiguous."
)
ALIASES = {"model_path": "model_ckpt", "framelist": "framelist_train"}


def main(argv: list[str]) -> int:
    config = parse(TrainConfig, argv, command="train", description=DESCRIPTION, first="data_dir", aliases=ALIASES)
    from multiface.cli.training_display import TrainingDisplay, run_training

    with TrainingDisplay(console()) as display:
        trainer, result = run_training(config, display)
    display.summary(trainer, result)
    if result.interrupted:
        return 130
    if config.json:
        emit_json(json_result(trainer, result))
    return 0


def json_result(trainer: Trainer, result: TrainResult) -> dict:
    """What ``--json`` prints."""
    return {
        "checkpoint": str(trainer.folder.model),
        "iterations": result.iterations,
        "images_per_second": result.images_per_second,
        "losses": result.train,
        "validation": result.validation,
        "best": result.best,
        "discarded": result.discarded,
        "left_out": [entry._asdict() for entry in (*trainer.train_loader.index.skipped, *trainer.train_loader.skipped)],
    }
