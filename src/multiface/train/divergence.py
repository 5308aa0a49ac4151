"""The end of a training whose numbers are no longer finite."""

from __future__ import annotations

import math
from collections.abc import Mapping

from multiface.core.errors import DivergenceError
from multiface.train.checkpoints import Checkpoints
from multiface.train.distributed import Group
from multiface.train.run_folder import RunFolder


def validation_divergence(values: Mapping[str, float]) -> DivergenceError | None:
    """The error that names the losses of a validation that are not finite; None when all are."""
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    return DivergenceError("the validation loss is no longer a finite number", found=", ".join(bad)) if bad else None


def end_diverged(error: DivergenceError, where: str, folder: RunFolder, checkpoints: Checkpoints, group: Group) -> None:
    """Raise ``error`` with where it happened and what is left, once that is written.

    Every process calls it, since all judge the same values; see :meth:`Group.together`.
    """

    def refuse() -> None:
        remedy = f"Look at these samples (multiface inspect), or lower --lr; {_kept(folder)}"
        raise DivergenceError(error.what, where=where, found=error.found, remedy=remedy)

    checkpoints.wait()
    group.together(refuse)


def _kept(folder: RunFolder) -> str:
    there = [file.name for file in (folder.best_model, folder.model) if file.exists()]
    if not there:
        return "there was no checkpoint yet"
    return f"the last good checkpoint in {folder.path} is kept ({', '.join(there)})"
