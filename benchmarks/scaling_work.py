"""What one of the processes of ``scaling.py`` does: sections of measurements, the result of each written at once."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
import torch.distributed as dist

from multiface.train import gradients
from multiface.train.build import build_trainer
from multiface.train.config import TrainConfig
from multiface.train.devices import choose_device
from multiface.train.distributed import Group, job
from multiface.train.launch import Launch
from multiface.train.loop import Trainer
from multiface.train.observer import NoObserver
from multiface.train.update import READ_EVERY

TIMEOUT = 240.0
"""Longer than compiling takes."""
STEPS = 100
"""Updates with one batch that stays on the device."""


class Clock(NoObserver):
    """Notes when updates were known to be done, and their losses; on a GPU they are read in groups of 20."""

    def __init__(self, save_at: Sequence[int] = ()) -> None:
        self.began = time.perf_counter()
        self.times: list[float] = []
        self.waited: list[float] = []
        self.totals: list[float] = []
        self.trainer: Trainer | None = None
        self._save_at = save_at

    def updated(self, position, values, images_per_second) -> None:
        self.times.append(time.perf_counter())
        self.waited.append(0.0 if self.trainer is None else self.trainer.batches.waited_s)
        self.totals.append(values["total"])
        if position.iteration in self._save_at and self.trainer is not None:
            self.trainer.save()

    def seconds(self, first: int, last: int) -> float:
        """From update ``first``, done, to update ``last``, done."""
        return self.times[last - 1] - self.times[first - 1]


class Worker:
    """One process of a launch.

    Args:
        plan: See ``scaling.py``.
        rank: Which process.
    """

    def __init__(self, plan: dict, rank: int) -> None:
        self.plan, self.rank, self.n = plan, rank, plan["processes"]
        self.config = TrainConfig.from_json(plan["options"])
        self.launch = Launch(rank, self.n, rank, self.n, "127.0.0.1", plan["port"], True)
        self.device = choose_device(plan["device"], self.launch)

    def run(self) -> None:
        """All sections that are wanted, as long as there is time."""
        if self.plan["bucket_mb"]:
            gradients.BUCKET_BYTES = self.plan["bucket_mb"] << 20
        with job(self.launch, self.device, TIMEOUT) as group:
            for name, section in (("losses", self.losses), ("sum", self.sum), ("training", self.training)):
                if name not in self.plan["sections"] or (name == "sum" and self.n == 1):
                    continue
                if group.any(time.time() > self.plan["deadline"]):
                    self.say({"section": name, "left_out": "no time left"})
                    continue
                try:
                    section(group)
                except Exception as error:
                    self.say({"section": name, "error": f"{type(error).__name__}: {error}"[:2000]})
                    if self.n > 1:  # the others may be anywhere
                        raise

    def say(self, result: dict) -> None:
        """Keep a result for ``scaling.py``; the first process does."""
        if self.rank == 0:
            with Path(self.plan["results"]).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"processes": self.n, **result}) + "\n")
            shown = {name: value for name, value in result.items() if name != "totals"}
            print(f"  {self.n} processes: {shown}", flush=True)

    @contextmanager
    def trainer(self, group: Group, clock: Clock, name: str, **options) -> Iterator[Trainer]:
        """A trainer that stays usable after its run, until the block ends."""
        folder = Path(self.plan["folder"]) / f"{name}-{self.n}"
        device = "cpu" if self.device.type == "cpu" else None
        trainer = build_trainer(replace(self.config, device=device, result_path=folder, **options), clock, group)
        close = trainer.close
        clock.trainer, trainer.close = trainer, trainer.checkpoints.close  # type: ignore[method-assign]
        try:
            yield trainer
        finally:
            close()

    def losses(self, group: Group) -> None:
        """The first updates, as many images for each on every number of processes; each operation launched by itself."""
        updates = self.plan["loss_updates"]
        clock = Clock()
        options = {"compile": False, "total_batch_size": self.plan["total"], "max_iter": updates}
        with self.trainer(group, clock, "losses", **options) as trainer:
            trainer.run()
        self.say({"section": "losses", "totals": clock.totals})

    def training(self, group: Group) -> None:
        """The trainer as users run it; with one process also a checkpoint, and the same updates without a trainer."""
        warm_up, updates = self.plan["warm_up"], self.plan["updates"]
        alone = self.n == 1
        end = warm_up + updates
        window = self.plan["checkpoint_updates"] if alone and "checkpoint" in self.plan["sections"] else 0
        windows = [end + number * window for number in range(2 * self.plan["checkpoints"])] if window else []
        clock = Clock(windows[::2])
        with self.trainer(group, clock, "training", max_iter=end + window * len(windows)) as trainer:
            trainer.run()
            if len(clock.times) < end + window * len(windows):
                raise RuntimeError(f"the training was ended after {len(clock.times)} updates")
            ms = 1e3 * clock.seconds(warm_up, end) / updates
            self.say(
                {
                    "section": "training", "ms": ms, "images_per_second": self.config.train_batch_size * self.n / ms * 1e3,
                    "groups_ms": self._groups(clock, warm_up, end), "first_updates_s": clock.times[0] - clock.began,
                    "waited_for_data_ms": 1e3 * (clock.waited[end - 1] - clock.waited[warm_up - 1]) / updates,
                    "totals": clock.totals,
                    "notes": trainer.notes,
                }
            )  # fmt: skip
            if window:
                seconds = [clock.seconds(first, first + window) for first in windows]
                lost = [with_one - without for with_one, without in zip(seconds[::2], seconds[1::2])]
                mean = statistics.mean(lost)
                self.say({"section": "checkpoint", "lost_s": mean, "each_s": lost, "lost_per_1000_updates": mean / ms})
            if "step" in self.plan["sections"]:
                self.say({"section": "step", "ms": self._step_ms(trainer)})
            if alone and "loop" in self.plan["sections"]:
                self.say({"section": "loop", "ms": self._bare_ms(trainer, updates, warm_up)})

    def _groups(self, clock: Clock, first: int, last: int) -> list[float]:
        """Lowest, middle and highest time of an update in groups that are read together."""
        marks = list(range(first, last + 1, READ_EVERY))
        each = [1e3 * clock.seconds(a, b) / READ_EVERY for a, b in pairwise(marks)] or [0.0]
        return [min(each), statistics.median(each), max(each)]

    def _step_ms(self, trainer: Trainer) -> float:
        """One batch again and again, on the device: nothing is read."""
        trainer.train_loader.set_epoch(1)
        with closing(trainer.batches.shares()) as shares:
            share = next(shares)
        batch = trainer.share_update.batch(share)
        if batch is None:
            raise RuntimeError("no batch to repeat")
        batch = batch.to(self.device)
        began = 0.0
        for number in range(READ_EVERY + STEPS):
            if number == READ_EVERY:
                began = time.perf_counter()
            trainer.share_update(share, batch)
            if number % READ_EVERY == READ_EVERY - 1:
                trainer.share_update.read()
        return 1e3 * (time.perf_counter() - began) / STEPS

    def _bare_ms(self, trainer: Trainer, updates: int, warm_up: int) -> float:
        """The same updates with nothing around them but the reading of data and of losses."""
        done, began = 0, 0.0
        for epoch in range(1, 1 + updates + warm_up):
            trainer.train_loader.set_epoch(epoch)
            with closing(trainer.batches.shares()) as shares:
                for batch in (share.batch for share in shares if share.batch is not None):
                    trainer.update(batch.to(self.device))
                    done += 1
                    if done % READ_EVERY == 0 or self.device.type == "cpu":
                        trainer.update.read()
                    if done == warm_up:
                        began = time.perf_counter()
                    if done == warm_up + updates:
                        return 1e3 * (time.perf_counter() - began) / updates
        return 0.0

    def sum(self, group: Group) -> None:
        """How long the network takes for as many bytes as the gradients of the published sizes have, with nothing beside it."""
        flat = [torch.ones(4 << 20, device=self.device) for _ in range(6)]
        times = []
        for _ in range(12):
            group.any(False)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            began = time.perf_counter()
            for work in [dist.all_reduce(part, async_op=True) for part in flat]:
                work.wait()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            times.append(1e3 * (time.perf_counter() - began))
        ms, megabytes = statistics.median(times[2:]), sum(part.nbytes for part in flat) / 1e6
        self.say({"section": "sum", "ms": ms, "megabytes": megabytes, "gb_per_s": megabytes / ms})


def main(file: str, rank: str) -> None:
    """Of a process that ``scaling.py`` starts."""
    Worker(json.loads(Path(file).read_text()), int(rank)).run()
