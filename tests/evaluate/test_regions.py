"""Regions of the face: known topologies alone, every used vertex once, lips where lips are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multiface.capture import read_obj, read_vertices
from multiface.evaluate.regions import inside_polygons, regions_of
from small_capture import grid_topology


def test_points_in_polygons_by_the_even_odd_rule() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    points = np.array([[0.5, 0.5], [0.1, 0.9], [1.2, 0.5], [-0.1, 0.5]])
    assert inside_polygons(points, [square]).tolist() == [True, True, False, False]
    hole = 0.25 + square / 2
    assert inside_polygons(points, [square, hole]).tolist() == [False, True, False, False]


def test_an_unknown_topology_has_no_regions_unless_polygons_are_given() -> None:
    topology = grid_topology()
    assert regions_of(topology) == {}
    left = {"left": [[[-1, -1], [0.4, -1], [0.4, 2], [-1, 2]]]}
    regions = regions_of(topology, left)
    assert list(regions) == ["left", "rest"]
    assert (topology.uvs[regions["left"], 0] < 0.4).all() and (topology.uvs[regions["rest"], 0] > 0.4).all()
    assert sorted(np.concatenate(list(regions.values())).tolist()) == list(range(25))


def check_face(regions: dict[str, np.ndarray], vertices: np.ndarray, used: int) -> None:
    """Anatomy, in head space (mm): x to the subject's left, y up, z out of the face."""
    centre = {name: vertices[ids].mean(axis=0) for name, ids in regions.items()}
    assert sum(map(len, regions.values())) == used == len(np.unique(np.concatenate(list(regions.values()))))
    assert centre["eyes"][1] > centre["nose"][1] > centre["lips"][1]
    assert all(abs(centre[name][0]) < 6 for name in ("lips", "eyes", "nose"))
    sides = vertices[regions["eyes"], 0]
    assert (np.abs(sides) > 5).all() and abs((sides > 0).mean() - 0.5) < 0.1
    assert np.ptp(vertices[regions["lips"]], axis=0)[0] == pytest.approx(58, abs=17)
    assert np.ptp(vertices[regions["nose"]], axis=0)[0] == pytest.approx(40, abs=13)
    assert vertices[regions["nose"], 2].max() > vertices[regions["lips"], 2].max() - 3


@pytest.mark.parametrize("seed", [0, 7])
def test_the_head_of_the_virtual_stage(seed: int) -> None:
    from multiface.prepare.stage.head import Head
    from multiface.prepare.stage.identity import sample_identity

    head = Head(sample_identity(seed))
    regions = regions_of(head.topology)
    check_face(regions, head.neutral, len(np.unique(head.topology.faces)))


@pytest.mark.real
def test_the_published_topology(shared: Path) -> None:
    topology = read_obj(shared / "real" / "face_topology.obj").topology
    vertices = read_vertices(shared / "real" / "021924.bin", 7306)
    regions = regions_of(topology)
    check_face(regions, vertices, 5741)


@pytest.mark.real
def test_expressions_move_the_regions_they_should(shared: Path) -> None:
    regions = regions_of(read_obj(shared / "real" / "face_topology.obj").topology)
    data = np.load(shared / "expressions" / "expressions.npz")
    names = [str(name) for name in data["names"]]

    def moved(shape: str) -> dict[str, float]:
        lengths = np.linalg.norm(data["deltas"][names.index(shape)].astype(np.float32), axis=1)
        return {name: float(lengths[ids].mean()) for name, ids in regions.items()}

    for shape, region in (("mouthPucker", "lips"), ("eyeBlink_L", "eyes")):
        by_region = moved(shape)
        assert max(by_region, key=lambda name: by_region[name]) == region, shape
    sneer = moved("noseSneer_L")
    assert sneer["nose"] > sneer["eyes"] and sneer["nose"] > 2 * sneer["rest"]
