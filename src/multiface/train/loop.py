"""The training loop, in the published order of operations."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from multiface import losses
from multiface.data import Batch, BatchLoader, DevicePrefetcher, Share
from multiface.models import ModelInfo
from multiface.train import due
from multiface.train.checkpoints import Checkpoints
from multiface.train.config import TrainConfig
from multiface.train.distributed import ALONE, Group
from multiface.train.divergence import end_diverged, validation_divergence
from multiface.train.epoch import remaining_shares
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
from multiface.train.share_update import ShareUpdate
from multiface.train.state import Position, random_state, set_random_state
from multiface.train.step import Step
from multiface.train.tally import Tally
from multiface.train.update import READ_EVERY, Update
from multiface.train.validation import validate


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

    def __post_init__(self) -> None:
        config = self.config
        self.weights = losses.LossWeights(config.lambda_verts, config.lambda_tex, config.lambda_screen, config.lambda_kl)
        self.optimisation = Optimisation(self.step.model, config.lr, config.lr_decay)
        together = self.group.world_size > 1
        self.averager = GradientAverager(self.step.model.parameter_stages()) if together else None
        guard = BatchGuard(config.pass_thres, self.device)
        self.update = Update(
            self.step,
            self.optimisation,
            self.weights,
            guard,
            bf16=use_bf16(config.precision, self.device),
            compiled=config.compile and self.device.type == "cuda",
            averaging=self.averager,
            anywhere=self.group.any,
        )
        self.notes += self.update.notes
        self.batches = DevicePrefetcher(self.train_loader, self.device)
        self.noise = self.step.noise = SharedNoise(self.train_loader.batch_size, self.device)
        self.share_update = ShareUpdate(self.update, self.noise, self.averager, self.train_loader)
        self.checkpoints = Checkpoints(self.folder, config.keep_states)
        self.tally = Tally()
        self._is_best = False
        self._mark = 0.0
        self.group.share_first([*self.step.model.parameters(), *self.step.model.buffers()])

    def resume(self, content: dict[str, Any]) -> None:
        """Go on from a state that :meth:`save` wrote."""
        self.position = Position(**content["position"])
        self.step.model.load_state_dict(content["model"])
        self.optimisation.load_state(content["optimisation"])
        self.update.load_state(content["guard"])
        self.tally.load_state(content)
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
        self.batches.close()
        self.checkpoints.close()
        self.folder.unlock()
        self.update.close()
        if self.averager is not None:
            self.averager.close()

    def _updates(self, log: RunLog | NoLog) -> bool:
        """All updates that are left; returns whether somebody asked to stop before the last one."""
        remaining = remaining_shares(self.config, self.position, self.batches, self.optimisation, self.group)
        with StopRequest() as stop, closing(remaining) as shares:
            for share in shares:
                if self._one(share, log, stop):
                    self._read(log)
                    return True
                if due.to_end(self.config, self.position.iteration):
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
                **self.tally.state(),
                "position": self.position.to_json(),
                "random": random_state(self.device),
                "digests": self.digests,
            },
            files,
        )

    def _one(self, share: Share, log: RunLog | NoLog, stop: StopRequest) -> bool:
        """Learn from a share of a batch; returns whether somebody asked to stop."""
        batch = self.share_update.batch(share)
        if batch is None:
            return stop.requested
        batch = batch.to(self.device)
        self.group.watch.progress(f"computing after {self.position.iteration} updates")
        self.share_update(share, batch)
        self.tally.seconds += time.perf_counter() - self._mark
        self._mark = time.perf_counter()
        must_read = self._must_read()
        # Several ask together, so that all stop after the same update; and do so while the device still computes.
        stopping = must_read and self.group.world_size > 1 and self.group.any(stop.requested)
        if must_read and self._read(log):
            self._act(self.position.iteration - 1, batch, log)
            self._mark = time.perf_counter()
        return stopping or (self.group.world_size == 1 and stop.requested)

    def _act(self, k: int, batch: Batch, log: RunLog | NoLog) -> None:
        """What is due after update ``k``, the last one, which was made with ``batch``."""
        if due.to_show(self.config, k) and self.group.is_first:
            log.flush()
            self.observer.logged(k, self.tally.train_means())
            with torch.no_grad():
                shown = self.step.predict(batch, sample=False, render=self.weights.screen > 0)
            self.observer.pictures(f"train_{k}", shown, batch)
        if due.to_end(self.config, self.position.iteration):
            return
        if due.to_validate(self.config, k):
            self._validate(log)
        if due.to_save(self.config, k):
            self.save()

    def _must_read(self) -> bool:
        """Whether something may have to be done now: on the CPU always, since reading costs nothing there."""
        unread = self.share_update.n_unread
        last = self.position.iteration + unread - 1
        return self.device.type == "cpu" or due.anything(self.config, last) or unread >= READ_EVERY

    def _read(self, log: RunLog | NoLog) -> bool:
        """Catch up with what the device did: count, log and report every update since the last reading.

        Returns:
            Whether the last batch was accepted.

        Raises:
            DivergenceError: a loss or gradient was not finite; names the batch.
        """
        began = time.perf_counter()
        reading, batches = self.share_update.read()
        self.tally.seconds += time.perf_counter() - began
        for batch, outcome in zip(batches, reading.outcomes):
            if outcome.accepted:
                self._count(batch.images, outcome.values, log)
        if reading.divergence is not None:
            views = "; ".join(self.group.gather(str(batches[len(reading.outcomes)])))
            where = f"iteration {self.position.iteration}, batch of {views}"
            end_diverged(reading.divergence, where, self.folder, self.checkpoints, self.group)
        return bool(reading.outcomes) and reading.outcomes[-1].accepted

    def _count(self, images: int, values: dict[str, float], log: RunLog | NoLog) -> None:
        k = self.position.iteration
        self.position.iteration = k + 1
        self.tally.updated(values, images)
        if due.to_record(k):
            log.add("train", k, values)
        self.observer.updated(self.position, values, self.tally.recent_images_per_second)

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
        divergence = validation_divergence(values)
        if divergence is not None:
            end_diverged(divergence, f"iteration {self.position.iteration}", self.folder, self.checkpoints, self.group)
        best = self.tally.validated(values, judged_by="screen" if self.weights.screen > 0 else "tex")
        log.add("val", self.position.iteration, values)
        log.flush()
        self._is_best |= best
        self.observer.validated(self.position.iteration, values, best)

    def _result(self, interrupted: bool) -> TrainResult:
        return TrainResult(
            iterations=self.position.iteration,
            images_per_second=self.tally.images_per_second,
            train=self.tally.train_means(),
            validation=self.tally.validation,
            best=self.tally.best,
            interrupted=interrupted,
            discarded=self.update.discarded,
            skipped=tuple(dict.fromkeys(entry for part in self.group.gather(self.train_loader.skipped) for entry in part)),
        )
