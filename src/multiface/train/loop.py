"""The training loop, in the published order of operations."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from multiface import losses
from multiface.capture import FrameKey
from multiface.core.errors import DivergenceError
from multiface.data import Batch, BatchLoader
from multiface.models import ModelInfo, save_model
from multiface.train.config import TrainConfig
from multiface.train.guard import BatchGuard
from multiface.train.interrupt import StopRequest
from multiface.train.log import RunLog
from multiface.train.optimisation import Optimisation
from multiface.train.run_folder import RunFolder
from multiface.train.state import Position, load_state, save_state
from multiface.train.step import Prediction, Step
from multiface.train.update import READ_EVERY, Update
from multiface.train.validation import validate

WINDOW = 20
"""Updates that the reported training losses are averaged over, as published."""
CURVE_EVERY = 10
"""Updates between two entries of the loss record."""


class Observer(Protocol):
    """Who watches a training: the command line's progress display, and whoever writes pictures."""

    def updated(self, position: Position, values: dict[str, float], images_per_second: float) -> None:
        """After every update."""

    def logged(self, iteration: int, values: dict[str, float]) -> None:
        """Every ``log_every`` updates."""

    def validated(self, iteration: int, values: dict[str, float], best: bool) -> None:
        """After every validation."""

    def pictures(self, tag: str, prediction: Prediction, batch: Batch) -> None:
        """Every ``log_every`` updates (``train_<k>``), with what the model says about the current batch."""


@dataclass
class TrainResult:
    """Outcome of a run.

    Attributes:
        iterations: Updates done in all, earlier parts of a resumed run included.
        images_per_second: Over this process's part of the run, validation left out.
        train: Means over the last :data:`WINDOW` updates (normalised).
        validation: The last validation's means, empty if there was none.
        best: Smallest validation value of each term.
        interrupted: Whether a Ctrl-C or SIGTERM ended it early.
        discarded: Batches discarded for a jump of the loss.
    """

    iterations: int
    images_per_second: float
    train: dict[str, float]
    validation: dict[str, float]
    best: dict[str, float]
    interrupted: bool
    discarded: int


@dataclass
class Trainer:
    """One training run: call :meth:`run`.

    Attributes:
        config: Options.
        folder: Result folder, already created.
        step: Model and how it is fed.
        info: What the model's checkpoints carry.
        train_loader, test_loader: Batches; no test batches, no validation.
        device: Where to compute.
        observer: Who watches.
    """

    config: TrainConfig
    folder: RunFolder
    step: Step
    info: ModelInfo
    train_loader: BatchLoader
    test_loader: BatchLoader | None
    device: torch.device
    observer: Observer
    position: Position = field(default_factory=Position)
    _best: dict[str, float] = field(default_factory=dict)
    _validation: dict[str, float] = field(default_factory=dict)
    _images: int = 0
    _seconds: float = 0.0
    _mark: float = 0.0

    def __post_init__(self) -> None:
        config = self.config
        self.weights = losses.LossWeights(config.lambda_verts, config.lambda_tex, config.lambda_screen, config.lambda_kl)
        self.optimisation = Optimisation(self.step.model, config.lr, config.lr_decay)
        self.update = Update(self.step, self.optimisation, self.weights, BatchGuard(config.pass_thres, self.device))
        self._unread: list[_Views] = []
        self._window: deque[dict[str, float]] = deque(maxlen=WINDOW)

    def resume(self) -> None:
        """Restore the state that the folder holds."""
        content, self.position = load_state(self.folder.state)
        self.step.model.load_state_dict(content["model"])
        self.optimisation.load_state(content["optimisation"])
        self.update.load_state(content["guard"])
        self._best = dict(content["best"])
        self._validation = dict(content["validation"])
        self._window.extend(content["window"])

    def run(self) -> TrainResult:
        """Train to the end, or until asked to stop; the folder then holds model, state, log and result.

        Raises:
            DivergenceError: a loss or gradient is no longer finite; the checkpoints are those from before.
        """
        log = RunLog(self.folder.log, self.position.iteration)
        self.step.model.train()
        self._mark = time.perf_counter()
        try:
            with StopRequest() as stop:
                for batch in self._batches():
                    self._one(batch, log)
                    if stop.requested or self._finished():
                        break
                self._read(log)
            if not stop.requested:
                self._validate(log)
            self.save()
        finally:
            log.close()
        return self._result(stop.requested)

    def save(self) -> None:
        """Write the model, and the state to go on from."""
        save_model(self.folder.model, self.step.model, self._info())
        parts = {
            "model": self.step.model.state_dict(),
            "optimisation": self.optimisation.state(),
            "guard": self.update.state(),
            "best": self._best,
            "validation": self._validation,
            "window": list(self._window),
        }
        save_state(self.folder.state, parts, self.position)

    def _info(self) -> ModelInfo:
        return replace(self.info, training={**(self.info.training or {}), "iterations": self.position.iteration})

    def _batches(self) -> Iterator[Batch]:
        """Batches epoch after epoch, from where the position says; the schedule acts after each whole epoch."""
        while self.position.epoch < self.config.epochs and not self._finished():
            self.train_loader.set_epoch(self.position.epoch, start=self.position.batches)
            for batch in self.train_loader:
                # Counted before it is used: an interrupt leaves this generator suspended at the yield.
                self.position.batches += 1
                yield batch
            self.optimisation.end_epoch()
            self.position.epoch += 1
            self.position.batches = 0

    def _finished(self) -> bool:
        return self.position.iteration >= self.config.max_iter

    def _one(self, batch: Batch, log: RunLog) -> None:
        moved = batch.to(self.device)
        self.update(moved)
        self._unread.append(_Views(batch.keys, batch.cameras, batch.frame_of_view))
        self._seconds += time.perf_counter() - self._mark
        self._mark = time.perf_counter()
        if self._must_read() and self._read(log):
            self._act(self.position.iteration - 1, moved, log)
            self._mark = time.perf_counter()

    def _act(self, k: int, batch: Batch, log: RunLog) -> None:
        """What is due after update ``k``, the last one, which was made with ``batch``."""
        if self._logs_at(k):
            log.flush()
            self.observer.logged(k, self._means())
            with torch.no_grad():
                shown = self.step.predict(batch, sample=False, render=self.weights.screen > 0)
            self.observer.pictures(f"train_{k}", shown, batch)
        if self._validates_at(k) and not self._finished():
            self._validate(log)
            self.save()

    def _must_read(self) -> bool:
        """Whether something may have to be done now: on the CPU always, since reading costs nothing there."""
        latest = self.position.iteration + len(self._unread)
        due = self._logs_at(latest - 1) or self._validates_at(latest - 1) or latest >= self.config.max_iter
        return self.device.type == "cpu" or due or len(self._unread) >= READ_EVERY

    def _logs_at(self, k: int) -> bool:
        return k % self.config.log_every == 0

    def _validates_at(self, k: int) -> bool:
        return k > 0 and k % self.config.val_every == 0

    def _read(self, log: RunLog) -> bool:
        """Catch up with what the device did: count, log and report every update since the last reading.

        Returns:
            Whether the last batch was accepted.

        Raises:
            DivergenceError: a loss or gradient was not finite; names the batch.
        """
        began = time.perf_counter()
        reading = self.update.read()
        self._seconds += time.perf_counter() - began
        views, self._unread = self._unread, []
        for of_batch, outcome in zip(views, reading.outcomes):
            if outcome.accepted:
                self._count(len(of_batch.cameras), outcome.values, log)
        if reading.divergence is not None:
            error = reading.divergence
            raise DivergenceError(
                error.what,
                where=f"iteration {self.position.iteration}, batch of {views[len(reading.outcomes)]}",
                found=error.found,
                remedy=f"Look at these samples (multiface inspect), or lower --lr; {self._kept()}",
            )
        return bool(reading.outcomes) and reading.outcomes[-1].accepted

    def _count(self, images: int, values: dict[str, float], log: RunLog) -> None:
        k = self.position.iteration
        self.position.iteration = k + 1
        self._window.append(values)
        self._images += images
        if k % CURVE_EVERY == 0:
            log.add("train", k, values)
        self.observer.updated(self.position, values, self.images_per_second)

    def _kept(self) -> str:
        there = [file.name for file in (self.folder.best_model, self.folder.model) if file.exists()]
        if not there:
            return "there was no checkpoint yet"
        return f"the last good checkpoint in {self.folder.path} is kept ({', '.join(there)})"

    def _validate(self, log: RunLog) -> None:
        if self.test_loader is None:
            return
        values = validate(
            self.step,
            self.test_loader,
            self.device,
            self.weights,
            batches=self.config.val_num,
            mode=self.config.validation,
            colour_optimiser=self.optimisation.colour,
            learning_rate=self.config.lr,
        )
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise DivergenceError(
                "the validation loss is no longer a finite number",
                where=f"iteration {self.position.iteration}",
                found=", ".join(bad),
                remedy=f"Lower --lr; {self._kept()}",
            )
        key = "screen" if self.weights.screen > 0 else "tex"
        best = bool(values) and values[key] < self._best.get(key, float("inf"))
        self._best = {name: min(value, self._best.get(name, float("inf"))) for name, value in values.items()}
        self._validation = values
        log.add("val", self.position.iteration, values)
        log.flush()
        if best:
            save_model(self.folder.best_model, self.step.model, self._info())
        self.observer.validated(self.position.iteration, values, best)

    @property
    def images_per_second(self) -> float:
        """Training throughput of this process so far: reading and computing, without validation and saving."""
        return self._images / self._seconds if self._seconds else 0.0

    def _means(self) -> dict[str, float]:
        return (
            {name: sum(v[name] for v in self._window) / len(self._window) for name in self._window[0]} if self._window else {}
        )

    def _result(self, interrupted: bool) -> TrainResult:
        return TrainResult(
            iterations=self.position.iteration,
            images_per_second=self.images_per_second,
            train=self._means(),
            validation=self._validation,
            best=self._best,
            interrupted=interrupted,
            discarded=self.update.discarded,
        )


@dataclass(frozen=True)
class _Views:
    """Which views a batch had, without their pictures: what is kept of it until its losses are read."""

    keys: tuple[FrameKey, ...]
    cameras: tuple[str, ...]
    frame_of_view: torch.Tensor

    def __str__(self) -> str:
        frames = self.frame_of_view.tolist()
        views = [f"{self.keys[frame]} camera {camera}" for frame, camera in zip(frames, self.cameras)]
        return ", ".join(views[:4]) + (f" and {len(views) - 4} more" if len(views) > 4 else "")
