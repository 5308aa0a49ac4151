"""Whether two batches are the same."""

from __future__ import annotations

import torch

from multiface.data import Batch

_TENSORS = ["frame_of_view", "average", "vertices", "head_pose", "texture", "photo", "camera_index", "view", "projection"]


def values(batch: Batch) -> dict:
    """What is in a batch, on its own."""
    tensors = {name: getattr(batch, name).clone() for name in _TENSORS if getattr(batch, name) is not None}
    return {"keys": batch.keys, "cameras": batch.cameras, **tensors}


def same(a: dict, b: dict) -> bool:
    """Whether two batches' :func:`values` are equal to the last bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k] for k in a)
