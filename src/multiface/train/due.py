"""What is due after an update. Updates are numbered from 0, as in the log."""

from __future__ import annotations

from multiface.train.config import TrainConfig

CURVE_EVERY = 10
"""Updates between two training entries of the log."""


def to_record(k: int) -> bool:
    """Whether the losses of update ``k`` go into the log."""
    return k % CURVE_EVERY == 0


def to_show(config: TrainConfig, k: int) -> bool:
    """Whether losses and pictures are shown after update ``k``."""
    return k % config.log_every == 0


def to_validate(config: TrainConfig, k: int) -> bool:
    """Whether the model is validated after update ``k``."""
    return k > 0 and k % config.val_every == 0


def to_save(config: TrainConfig, k: int) -> bool:
    """Whether model and state are saved after update ``k``: with every validation, and every ``save_every`` updates."""
    return to_validate(config, k) or (config.save_every is not None and k > 0 and k % config.save_every == 0)


def to_end(config: TrainConfig, updates: int) -> bool:
    """Whether so many updates are all there shall be."""
    return updates >= config.max_iter


def anything(config: TrainConfig, k: int) -> bool:
    """Whether anything but recording is due after update ``k``."""
    return to_show(config, k) or to_save(config, k) or to_end(config, k + 1)
