"""A training as people watch it: a progress bar with losses, images per second and time left; lines for what matters."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from multiface.evaluate.report import append_training_result
from multiface.show.dumps import write_prediction_pictures
from multiface.train.build import build_trainer
from multiface.train.distributed import ALONE, Group
from multiface.train.loop import Trainer, TrainResult

if TYPE_CHECKING:
    from multiface.data import Batch
    from multiface.train.config import TrainConfig
    from multiface.train.state import Position
    from multiface.train.step import Prediction


class TrainingDisplay:
    """Observer of a training that shows it on a console and writes the pictures of the run folder.

    Where stderr is no terminal (a log file), the bar is left out and the lines remain.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("training", total=None, losses="")
        self._trainer: Trainer | None = None
        self._began = 0
        self._rate = ""

    def __enter__(self) -> TrainingDisplay:
        self._progress.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._progress.stop()

    def watch(self, trainer: Trainer) -> None:
        """Say what is about to be trained on what."""
        self._trainer = trainer
        self._began = trainer.position.iteration
        config, train, test = trainer.config, trainer.train_loader, trainer.test_loader
        total = min(config.max_iter, config.epochs * len(train))
        self._progress.update(self._task, total=total, completed=self._began)
        for note in trainer.notes:
            self.console.print(note, soft_wrap=True)
        processes = trainer.group.world_size
        self.console.print(
            f"{config.arch}, texture {config.tex_size}, latent {config.nlatent}, on {trainer.device}"
            + (f" and {processes - 1} more, {config.total_batch_size} images for each update" if processes > 1 else "")
            + f": {len(train.index)} training and {len(test.index) if test else 'no'} test samples, {total} updates"
            + (f", of which {self._began} are made" if self._began else ""),
            soft_wrap=True,
        )
        for name, index in (("training", train.index), ("test", test.index if test else None)):
            if index is not None and index.skipped:
                first = index.skipped[0]
                self.console.print(
                    f"left out of the {name} set: {len(index.skipped)}, the first: {first.what} ({first.reason})",
                    soft_wrap=True,
                )

    def updated(self, position: Position, values: dict[str, float], images_per_second: float) -> None:
        self._rate = f"{images_per_second:.1f} images/s"
        losses = f"{_losses(values)}  {self._rate}"
        self._progress.update(self._task, completed=position.iteration, losses=losses)

    def logged(self, iteration: int, values: dict[str, float]) -> None:
        self.console.print(f"{iteration}  {_losses(values)}  {self._rate}")

    def validated(self, iteration: int, values: dict[str, float], best: bool) -> None:
        self.console.print(f"{iteration}  validation  {_losses(values)}" + ("  best so far" if best else ""))

    def pictures(self, tag: str, prediction: Prediction, batch: Batch) -> None:
        if self._trainer is not None:
            write_prediction_pictures(self._trainer.folder.pictures, tag, prediction, self._trainer.step.normalisation)

    def summary(self, trainer: Trainer, result: TrainResult) -> None:
        """Say how it ended, where everything is, and how to go on."""
        if result.skipped:
            name, reason = result.skipped[0]
            text = f"broken files left out while training: {len(result.skipped)}, the first: {name} ({reason})"
            self.console.print(text, soft_wrap=True)
        if result.discarded:
            self.console.print(f"batches discarded for a jump of the loss: {result.discarded}")
        folder = trainer.folder.path
        if result.interrupted:
            self.console.print(f"stopped after {result.iterations} updates; everything is saved. Go on with:")
            self.console.print(f"  multiface train --resume {folder}", soft_wrap=True)
            return
        append_training_result(trainer.folder.result, result.best, result.validation, result.train)
        if 0 < result.iterations == self._began:
            self.console.print(_nothing_left(trainer), soft_wrap=True)
            return
        self.console.print(
            f"trained {result.iterations} updates, {result.images_per_second:.1f} images/s on average: {trainer.folder.model}",
            soft_wrap=True,
        )


def run_training(
    config: TrainConfig, display: TrainingDisplay, group: Group = ALONE, given: Collection[str] = ()
) -> tuple[Trainer, TrainResult]:
    """Build the trainer of ``config`` and run it under ``display``; in a job of several, this is the first process.

    Args:
        config, given: Options, and the names of those that the user gave.
        display: Who watches.
        group: The processes of the job.
    """
    trainer = build_trainer(config, display, group, given)
    display.watch(trainer)
    return trainer, trainer.run()


def _nothing_left(trainer: Trainer) -> str:
    """Why a run that was to go on made no update."""
    config, made, epoch = trainer.config, trainer.position.iteration, len(trainer.train_loader)
    by_epochs = config.epochs * epoch < config.max_iter
    limit = f"--epochs {config.epochs}, of {epoch} updates each," if by_epochs else f"--max_iter {config.max_iter}"
    return f"nothing was left to do: {made} updates are made, and {limit} allows no more; raise it to go on"


def _losses(values: dict[str, float]) -> str:
    shown = {"total": "loss", "verts": "vert", "tex": "tex", "screen": "screen", "kl": "kl"}
    return " ".join(f"{label} {values[name]:.3f}" for name, label in shown.items() if name in values)
