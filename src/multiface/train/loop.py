"""The training loop, in the published order of operations."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from multiface import losses
from multiface.capture import FrameKey
from multiface.core.errors import CaptureError, DivergenceError
from multiface.data import Batch, BatchLoader, DevicePrefetcher, Share
from multiface.models import ModelInfo
from multiface.train.checkpoints import Checkpoints
from multiface.train.config import TrainConfig
from multiface.train.distributed import ALONE, Group
from multiface.train.gradients import GradientAverager
from multiface.train.guard import BatchGuard
from multiface.train.interrupt import StopRequest
from multiface.train.log import NoLog, RunLog
from multiface.train.noise import SharedNoise
from multiface.train.observer import Observer
from multiface.train.optimisation import Optimisation
from multiface.train.precision import use_bf16
from multiface.train.result import TrainResult
from multiface.train.run_folder import RunFolder
from multiface.train.state import Position, random_state, set_random_state
from multiface.train.step import Step
from multiface.train.update import READ_EVERY, Update
from multiface.train.validation import validate

WINDOW = 20
"""Updates that the reported training losses are averaged over, as published."""
CURVE_EVERY = 10
"""Updates between two entries of the loss record."""


@dataclass
class Trainer:
    """One training run: call :meth:`run`.

    With several processes each has a trainer; all make the same updates of the same model, each from its share of every
    batch, and take every decision together. The first one writes and is watched.

    Attributes:
        config: Options; ``total_batch_size`` is set.
        folder: Result folder, already created.
        step: Model and how it is fed.
        info: What the model's checkpoints carry.
        train_loader: Training batches, shared by the processes.
        test_loader: Test batches, dealt to the processes; None, no validation.
        device: Where to compute.
        observer: Who watches.
        group: The processes that train together.
        fit_loader: All test batches, for the fitting kinds of validation.
        digests: What is trained on what, to recognise on resuming.
        position: Where the run is.
        notes: What to tell the user before the training begins.
    """

    config: TrainConfig
    folder: RunFolder
    step: Step
    info: ModelInfo
    train_loader: BatchLoader
    test_loader: BatchLoader | None
    device: torch.device
    observer: Observer
    group: Group = ALONE
    fit_loader: BatchLoader | None = None
    digests: dict[str, str] = field(default_factory=dict)
    position: Position = field(default_factory=Position)
    notes: list[str] = field(default_factory=list)
    _best: dict[str, float] = field(default_factory=dict)
    _validation: dict[str, float] = field(default_factory=dict)
    _is_best: bool = False
    _images: int = 0
    _seconds: float = 0.0
    _mark: float = 0.0

    def __post_init__(self) -> None:
        config = self.config
        self.weights = losses.LossWeights(config.lambda_verts, config.lambda_tex, config.lambda_screen, config.lambda_kl)
        self.optimisation = Optimisation(self.step.model, config.lr, config.lr_decay)
        together = self.group.world_size > 1
        self.averager = GradientAverager(self.optimisation.parameters) if together else None
        guard = BatchGuard(config.pass_thres, self.device)
        self.update = Update(
            self.step,
            self.optimisation,
            self.weights,
            guard,
            bf16=use_bf16(config.precision, self.device),
            compiled=config.compile and self.device.type == "cuda",
            average_gradients=self.averager,
        )
        self.notes += self.update.notes
        self.batches = DevicePrefetcher(self.train_loader, self.device)
        self.noise = self.step.noise = SharedNoise(self.train_loader.batch_size, self.device)
        self.checkpoints = Checkpoints(self.folder, config.keep_states)
        self._stand_in: Batch | None = None
        self._unread: list[_Views] = []
        self._window: deque[dict[str, float]] = deque(maxlen=WINDOW)
        self.group.share_first([*self.step.model.parameters(), *self.step.model.buffers()])

    def resume(self, content: dict[str, Any]) -> None:
        """Go on from a state that :meth:`save` wrote."""
        self.position = Position(**content["position"])
        self.step.model.load_state_dict(content["model"])
        self.optimisation.load_state(content["optimisation"])
        self.update.load_state(content["guard"])
        self._best = dict(content["best"])
        self._validation = dict(content["validation"])
        self._window.extend(content["window"])
        set_random_state(content["random"], self.device)

    def run(self) -> TrainResult:
        """Train to the end, or until asked to stop; the folder then holds model, state, log and result.

        Raises:
            DivergenceError: a loss or gradient is no longer finite; the checkpoints are those from before.
            StorageError: a checkpoint could not be written.
        """
        log = RunLog(self.folder.log, self.position.iteration) if self.group.is_first else NoLog()
        self.step.model.train()
        self._mark = time.perf_counter()
        try:
            stopped = self._updates(log)
            if not stopped:
                self._validate(log)
            self.save()
            self.checkpoints.wait()
        finally:
            log.close()
            self.close()
        return self._result(stopped)

    def close(self) -> None:
        """Finish writing and let go of the folder, of recorded updates, and of the gradients."""
        self.checkpoints.close()
        self.folder.unlock()
        self.update.close()
        if self.averager is not None:
            self.averager.close()

    def _updates(self, log: RunLog | NoLog) -> bool:
        """All updates that are left; returns whether somebody asked to stop before the last one."""
        with StopRequest() as stop, closing(self._shares()) as shares:
            for share in shares:
                read = self._one(share, log)
                # Asked together, so that all processes stop after the same update.
                if (read or self.group.world_size == 1) and self.group.any(stop.requested):
                    self._read(log)
                    return True
                if self._finished():
                    break
            self._read(log)
        return False

    def save(self) -> None:
        """Have the state to go on from, and the model, written while training goes on."""
        if not self.group.is_first:
            return
        info = replace(self.info, training={**(self.info.training or {}), "iterations": self.position.iteration})
        files = {self.folder.model: info, **({self.folder.best_model: info} if self._is_best else {})}
        self._is_best = False
        self.checkpoints.save(
            {
                "model": self.step.model.state_dict(),
                "optimisation": self.optimisation.state(),
                "guard": self.update.state(),
                "best": self._best,
                "validation": self._validation,
                "window": list(self._window),
                "position": self.position.to_json(),
                "random": random_state(self.device),
                "digests": self.digests,
            },
            files,
        )

    def _shares(self) -> Generator[Share, None, None]:
        """Shares of batches, epoch after epoch, from where the position says; the schedule acts after each whole epoch."""
        while self.position.epoch < self.config.epochs and not self._finished():
            self.train_loader.set_epoch(self.position.epoch, start=self.position.batches)
            counts: list[int] = []
            with closing(self.batches.shares()) as shares:
                self.group.watch.progress(f"waiting for its data before update {self.position.iteration}")
                for share in shares:
                    counts.append(0 if share.batch is None else len(share.batch))
                    # Counted before it is used: an interrupt leaves this generator suspended at the yield.
                    self.position.batches += 1
                    yield share
                    self.group.watch.progress(f"waiting for its data after {self.position.iteration} updates")
            if self.group.world_size > 1 and counts and not self.group.any(sum(counts) > 0):
                self.group.together(self._refuse_broken)
            self.optimisation.end_epoch()
            self.position.epoch += 1
            self.position.batches = 0

    def _finished(self) -> bool:
        return self.position.iteration >= self.config.max_iter

    def _one(self, share: Share, log: RunLog | NoLog) -> bool:
        """Learn from a share of a batch; returns whether the device was waited for."""
        batch = share.batch
        if batch is None and self.averager is None:
            return False
        moved = (batch or self._any_batch()).to(self.device)
        self._update(moved, 0 if batch is None else len(batch), share.start)
        images = len(moved) if self.averager is None else share.total
        self._unread.append(_Views(moved.keys, moved.cameras, moved.frame_of_view.clone(), images))  # not its whole block
        self._seconds += time.perf_counter() - self._mark
        self._mark = time.perf_counter()
        if not self._must_read():
            return False
        if self._read(log):
            self._act(self.position.iteration - 1, moved, log)
            self._mark = time.perf_counter()
        return True

    def _update(self, batch: Batch, views: int, start: int) -> None:
        """One update; ``views`` of the batch count, which stand at ``start`` in the whole batch."""
        self.group.watch.progress(f"computing after {self.position.iteration} updates")
        self.noise.begin(start)
        if self.averager is not None:
            self.averager.begin(views)
        try:
            self.update(batch)
        finally:
            self.noise.end()
            if self.averager is not None:
                self.averager.end()

    def _any_batch(self) -> Batch:
        """Something to compute with where this process has no views of a batch: all must take part, and it counts nothing."""
        if self._stand_in is None:
            self._stand_in = self.train_loader.any_batch()
        return self._stand_in

    def _act(self, k: int, batch: Batch, log: RunLog | NoLog) -> None:
        """What is due after update ``k``, the last one, which was made with ``batch``."""
        if self._logs_at(k) and self.group.is_first:
            log.flush()
            self.observer.logged(k, self._means())
            with torch.no_grad():
                shown = self.step.predict(batch, sample=False, render=self.weights.screen > 0)
            self.observer.pictures(f"train_{k}", shown, batch)
        if self._finished():
            return
        if self._validates_at(k):
            self._validate(log)
        if self._validates_at(k) or self._saves_at(k):
            self.save()

    def _must_read(self) -> bool:
        """Whether something may have to be done now: on the CPU always, since reading costs nothing there."""
        latest = self.position.iteration + len(self._unread)
        k = latest - 1
        due = self._logs_at(k) or self._validates_at(k) or self._saves_at(k) or latest >= self.config.max_iter
        return self.device.type == "cpu" or due or len(self._unread) >= READ_EVERY

    def _logs_at(self, k: int) -> bool:
        return k % self.config.log_every == 0

    def _validates_at(self, k: int) -> bool:
        return k > 0 and k % self.config.val_every == 0

    def _saves_at(self, k: int) -> bool:
        return k > 0 and k % (self.config.save_every or self.config.val_every) == 0

    def _read(self, log: RunLog | NoLog) -> bool:
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
                self._count(of_batch.images, outcome.values, log)
        if reading.divergence is not None:
            batch = "; ".join(self.group.gather(str(views[len(reading.outcomes)])))
            self._diverged(reading.divergence, f"iteration {self.position.iteration}, batch of {batch}")
        return bool(reading.outcomes) and reading.outcomes[-1].accepted

    def _count(self, images: int, values: dict[str, float], log: RunLog | NoLog) -> None:
        k = self.position.iteration
        self.position.iteration = k + 1
        self._window.append(values)
        self._images += images
        if k % CURVE_EVERY == 0:
            log.add("train", k, values)
        self.observer.updated(self.position, values, self.images_per_second)

    def _refuse_broken(self) -> None:
        path = self.train_loader.capture.path
        remedy = f"Look for broken files with: multiface inspect {path}"
        raise CaptureError("not one sample of the epoch could be read", where=path, remedy=remedy)

    def _diverged(self, error: DivergenceError, where: str) -> None:
        """Raise ``error`` with all that is known; every process is here, since all judge the same values."""

        def refuse() -> None:
            remedy = f"Look at these samples (multiface inspect), or lower --lr; {self._kept()}"
            raise DivergenceError(error.what, where=where, found=error.found, remedy=remedy)

        self.checkpoints.wait()
        self.group.together(refuse)

    def _kept(self) -> str:
        there = [file.name for file in (self.folder.best_model, self.folder.model) if file.exists()]
        if not there:
            return "there was no checkpoint yet"
        return f"the last good checkpoint in {self.folder.path} is kept ({', '.join(there)})"

    def _validate(self, log: RunLog | NoLog) -> None:
        if self.test_loader is None:
            return
        self.group.watch.progress(f"validating after {self.position.iteration} updates")
        values = validate(
            self.step,
            self.test_loader,
            self.device,
            self.weights,
            batches=self.config.val_num,
            mode=self.config.validation,
            colour_optimiser=self.optimisation.colour,
            learning_rate=self.config.lr,
            group=self.group,
            whole=self.fit_loader,
        )
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            error = DivergenceError("the validation loss is no longer a finite number", found=", ".join(bad))
            self._diverged(error, f"iteration {self.position.iteration}")
        key = "screen" if self.weights.screen > 0 else "tex"
        best = bool(values) and values[key] < self._best.get(key, float("inf"))
        self._best = {name: min(value, self._best.get(name, float("inf"))) for name, value in values.items()}
        self._validation = values
        log.add("val", self.position.iteration, values)
        log.flush()
        self._is_best |= best
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
            skipped=tuple(dict.fromkeys(entry for part in self.group.gather(self.train_loader.skipped) for entry in part)),
        )


@dataclass(frozen=True)
class _Views:
    """Which views a batch had, without their pictures: what is kept of it until its losses are read."""

    keys: tuple[FrameKey, ...]
    cameras: tuple[str, ...]
    frame_of_view: torch.Tensor
    images: int

    def __str__(self) -> str:
        frames = self.frame_of_view.tolist()
        views = [f"{self.keys[frame]} camera {camera}" for frame, camera in zip(frames, self.cameras)]
        return ", ".join(views[:4]) + (f" and {len(views) - 4} more" if len(views) > 4 else "")
