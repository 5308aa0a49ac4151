"""Which triangles share an edge, found once for each topology."""

from __future__ import annotations

import numpy as np
import torch

from multiface.geometry import Topology


def twins_on(topology: Topology, device: torch.device) -> torch.Tensor:
    """:func:`half_edge_twins` of ``topology`` on ``device``, computed on first use and kept as long as the topology lives."""
    id(topology)  # makes compiled code look at whether it is still the same one
    return topology.derived(_twins_on, device)


def _twins_on(topology: Topology, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(half_edge_twins(topology.faces)).to(device)


def half_edge_twins(faces: np.ndarray) -> np.ndarray:
    """(3 F,) int32: for each half-edge the one on the other side, -1 where there is none.

    Half-edge 3 f + k runs along triangle f from corner k to corner k + 1. Edges of one triangle or of three and more have no
    other side. Triangles may turn either way: what counts is that two of them have the same two vertices. Triangles that name
    a vertex twice are passed over.
    """
    following = np.roll(faces, -1, axis=1)
    low, high = (pick(faces, following).reshape(-1).astype(np.int64) for pick in (np.minimum, np.maximum))
    candidates = np.flatnonzero(np.repeat((faces != following).all(1), 3))
    keys = low[candidates] * (int(high.max(initial=0)) + 1) + high[candidates]
    _, edge, count = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(edge, kind="stable")
    paired = candidates[order[count[edge[order]] == 2]]
    twins = np.full(faces.size, -1, np.int32)
    twins[paired[::2]], twins[paired[1::2]] = paired[1::2], paired[::2]
    return twins
