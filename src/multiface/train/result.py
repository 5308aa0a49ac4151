"""What comes out of a training."""

from __future__ import annotations

from dataclasses import dataclass

from multiface.data import Skipped


@dataclass
class TrainResult:
    """Outcome of a run.

    Attributes:
        iterations: Updates done in all, earlier parts of a resumed run included.
        images_per_second: On average over this process's part of the run, compiling included, validation left out.
        train: Means over the last :data:`multiface.train.tally.WINDOW` updates (normalised).
        validation: The last validation's means, empty if there was none.
        best: Smallest validation value of each term.
        interrupted: Whether a Ctrl-C or SIGTERM ended it early.
        discarded: Batches discarded for a jump of the loss.
        skipped: Broken training files that were left out, on whatever process.
    """

    iterations: int
    images_per_second: float
    train: dict[str, float]
    validation: dict[str, float]
    best: dict[str, float]
    interrupted: bool
    discarded: int
    skipped: tuple[Skipped, ...] = ()
