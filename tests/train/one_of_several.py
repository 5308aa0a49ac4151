"""What each process of a test's job runs: several trainings one after another, so that importing is paid for once.

Usage: python one_of_several.py JOB.json RANK. The job says how many processes there are, where their store is (the test keeps
it), and what to do. Rank 0 leaves what it saw; every rank leaves how each training ended for it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from multiface.core.errors import MultifaceError
from multiface.train.build import build_trainer
from multiface.train.config import TrainConfig
from multiface.train.distributed import job
from multiface.train.launch import Launch


class Recorder:
    """Observer that keeps the losses of every update, and may spoil the model or be killed after one."""

    def __init__(self, spoil_after: int | None, die_after: int | None) -> None:
        self.losses: list[dict[str, float]] = []
        self.trainer = None
        self._spoil_after, self._die_after = spoil_after, die_after

    def updated(self, position, values, images_per_second) -> None:
        self.losses.append(values)
        if position.iteration == self._spoil_after:
            with torch.no_grad():
                self.trainer.step.model.dec.mesh_fc.bias.fill_(float("nan"))
        if position.iteration == self._die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def logged(self, iteration, values) -> None: ...
    def validated(self, iteration, values, best) -> None: ...
    def pictures(self, tag, prediction, batch) -> None: ...


def train(task: dict, launch: Launch) -> dict:
    """One training; what came of it, as plain values."""
    options = {**task["options"], **task.get("options_of_rank", {}).get(str(launch.rank), {})}
    recorder = Recorder(task.get("spoil_after"), task.get("die_after", {}).get(str(launch.rank)))
    try:
        with job(launch, torch.device("cpu"), timeout=60.0) as group:
            trainer = build_trainer(TrainConfig.from_json(options), recorder, group)
            recorder.trainer = trainer
            result = trainer.run()
            weights = torch.cat([p.detach().flatten() for p in trainer.step.model.parameters()])
            equal = len(set(group.gather(weights.double().sum().item()))) == 1
    except MultifaceError as error:
        return {"error": str(error)}
    except SystemExit as stop:
        return {"exit": stop.code}
    return {
        "losses": recorder.losses,
        "validation": result.validation,
        "skipped": [list(entry) for entry in result.skipped],
        "iterations": result.iterations,
        "equal_weights": equal,
    }


def main() -> None:
    torch.set_num_threads(1)
    plan, rank = json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2])
    outcomes = []
    for attempt, task in enumerate(plan["tasks"]):
        launch = Launch(rank, plan["world_size"], rank, plan["world_size"], "127.0.0.1", plan["port"], True, attempt)
        outcomes.append(train(task, launch))
        Path(sys.argv[1]).with_name(f"job-{rank}.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main()
