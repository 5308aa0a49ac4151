"""Parts of the face, so that mesh errors can be told apart: lips, eyes, nose, and the rest.

A region is a set of polygons in uv, kept as data for the topologies we know (``regions/*.json``). A topology is recognised
by its numbers of vertices, triangles and uv coordinates; for any other none are known, unless a protocol brings its own
polygons. Wrong regions would be worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

import numpy as np

from multiface.core.errors import FormatError
from multiface.geometry import Topology

REST = "rest"
Polygons = Mapping[str, list[list[list[float]]]]
"""Region name -> polygons -> points -> (u, v)."""


def regions_of(topology: Topology, polygons: Polygons | None = None) -> dict[str, np.ndarray]:
    """The vertices of each region of a topology.

    Args:
        topology: Triangles and uv.
        polygons: Regions of one's own; those known for the topology when absent.

    Returns:
        Region -> (K,) int64 vertex indices, ``rest`` last: all vertices that a triangle uses and no region has. Empty for a
        topology without known regions. A vertex belongs to the first region that contains its uv (the one of its first
        corner, where a seam gives it several).
    """
    if polygons is None:
        polygons = _known().get((topology.n_vertices, len(topology.faces), len(topology.uvs)))
    if not polygons:
        return {}
    used, uv = _vertex_uv(topology)
    free = np.ones(len(used), bool)
    regions = {}
    for name, rings in polygons.items():
        inside = inside_polygons(uv, [np.asarray(ring, np.float64) for ring in rings]) & free
        regions[name] = used[inside]
        free &= ~inside
    return {**regions, REST: used[free]}


def inside_polygons(points: np.ndarray, rings: list[np.ndarray]) -> np.ndarray:
    """(N,) bool: whether ``points`` (N, 2) are inside; even-odd rule over all ``rings`` (each (K, 2), closed by itself)."""
    inside = np.zeros(len(points), bool)
    for ring in rings:
        for (u0, v0), (u1, v1) in zip(ring, np.roll(ring, -1, axis=0)):
            crosses = (v0 > points[:, 1]) != (v1 > points[:, 1])
            if v0 != v1:
                inside ^= crosses & (points[:, 0] < u0 + (points[:, 1] - v0) * (u1 - u0) / (v1 - v0))
    return inside


def check_polygons(content: object, where: str) -> Polygons:
    """``content`` of a file as polygons.

    Raises:
        FormatError: it is not ``{"name": [[[u, v], ...], ...]}`` with at least three points in each polygon.
    """
    wrong = not isinstance(content, dict) or not content or REST in content
    if isinstance(content, dict):
        wrong |= not all(isinstance(rings, list) and rings and all(map(_is_ring, rings)) for rings in content.values())
    if wrong:
        raise FormatError(
            "regions must be polygons in uv",
            where=where,
            expected='{"lips": [[[u, v], [u, v], [u, v], ...], ...], ...}, without one called "rest"',
        )
    return content  # type: ignore[return-value]


def _is_ring(ring: object) -> bool:
    if not isinstance(ring, list) or not 3 <= len(ring) <= 10_000:
        return False
    return all(isinstance(p, list) and len(p) == 2 and all(isinstance(x, (int, float)) for x in p) for p in ring)


def _vertex_uv(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that triangles use, ascending (K,), and a uv of each (K, 2)."""
    vertices, first = np.unique(np.asarray(topology.faces).reshape(-1), return_index=True)
    corners = np.asarray(topology.uv_faces).reshape(-1)[first]
    return vertices.astype(np.int64), np.asarray(topology.uvs, np.float64)[corners]


@lru_cache(maxsize=1)
def _known() -> dict[tuple[int, int, int], Polygons]:
    """(vertices, triangles, uvs) -> polygons, of the files in this package."""
    known = {}
    for file in resources.files("multiface.evaluate").joinpath("regions").iterdir():
        if file.name.endswith(".json"):
            content = json.loads(file.read_text(encoding="utf-8"))
            counts = content["topology"]
            known[counts["vertices"], counts["faces"], counts["uvs"]] = check_polygons(content["regions"], file.name)
    return known
