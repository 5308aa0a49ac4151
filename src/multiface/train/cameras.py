"""Which row of a model's colour correction belongs to which camera of a capture."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from multiface.core.errors import CheckpointError


def table_names(krt_names: Sequence[str], used: Sequence[str]) -> tuple[str, ...]:
    """Names of the colour-correction rows: the used cameras in KRT order; the first of them is the anchor."""
    wanted = set(used)
    return tuple(name for name in krt_names if name in wanted)


def camera_table(
    krt_names: Sequence[str], model_names: Sequence[str] | None, n_cams: int
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Colour-correction row of every KRT position, and the names of cameras that the model does not know.

    Models that carry camera names are matched by name; an unknown camera gets row 0, the anchor, whose correction is the
    identity. Published checkpoints carry no names: row = KRT position, and positions beyond the table cannot be used.

    Args:
        krt_names: Camera names of the capture in KRT order.
        model_names: The model's camera names in row order, or None (published checkpoint).
        n_cams: Rows of the model's table.

    Returns:
        (K,) long tensor with an entry in 0..n_cams-1, or -1 where a published checkpoint has no row; unknown names.
    """
    if model_names is None:
        rows = [position if position < n_cams else -1 for position in range(len(krt_names))]
        return torch.tensor(rows, dtype=torch.long), ()
    row_of = {name: row for row, name in enumerate(model_names)}
    unknown = tuple(name for name in krt_names if name not in row_of)
    return torch.tensor([row_of.get(name, 0) for name in krt_names], dtype=torch.long), unknown


def require_rows(table: torch.Tensor, krt_names: Sequence[str], used: Sequence[str], n_cams: int) -> None:
    """Refuse cameras that a published checkpoint has no colour-correction row for.

    Raises:
        CheckpointError: naming them.
    """
    wanted = set(used)
    missing = [name for position, name in enumerate(krt_names) if name in wanted and int(table[position]) < 0]
    if missing:
        raise CheckpointError(
            f"the checkpoint's colour correction does not reach these cameras: {', '.join(missing[:8])}",
            expected=f"cameras among the first {n_cams} of the KRT file (published checkpoints index by KRT position)",
            found=f"{len(missing)} beyond",
            remedy="Use the KRT file the model was trained with, or leave these cameras out with --camera_config",
        )
