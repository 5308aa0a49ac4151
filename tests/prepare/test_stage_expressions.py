"""Expression shapes: smooth, bounded, mirrored, and doing what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from multiface.prepare.stage.expressions import Expressions, build_expressions
from multiface.prepare.stage.head import Head
from multiface.prepare.stage.identity import Identity
from multiface.prepare.stage.segments import PEAKS, both


@pytest.fixture(scope="module")
def head() -> Head:
    return Head(Identity())


@pytest.fixture(scope="module")
def shapes(head: Head) -> Expressions:
    return build_expressions(head)


def slit(head: Head, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the upper and lower margin, column by column."""
    found = next(s for s in head.sheet.slits if s.name == name)
    half = len(found.loop) // 2
    return found.loop[1:half], found.loop[:half:-1]


def test_there_are_a_few_dozen_with_distinct_names(shapes: Expressions) -> None:
    assert len(set(shapes.names)) == len(shapes.names) >= 30
    assert shapes.deltas.shape[0] == len(shapes.names)


def test_shapes_move_something_but_nothing_absurdly_far(shapes: Expressions) -> None:
    reach = np.linalg.norm(shapes.deltas, axis=2).max(1)
    for name, most in zip(shapes.names, reach):
        assert 1.0 < most < 45.0, name


def test_shapes_are_smooth_along_the_skin(head: Head, shapes: Expressions) -> None:
    region = head.regions
    calm = (region.part == 0) & (region.mouth_ring == 0) & (region.lid_ring == 0) & (region.margin == 0)
    faces = head.topology.faces[calm[head.topology.faces].all(1)]
    a, b = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    length = np.linalg.norm(head.neutral[a] - head.neutral[b], axis=1)
    for name, delta in zip(shapes.names, shapes.deltas):
        stretch = np.linalg.norm(delta[a] - delta[b], axis=1) / length
        # Around the lids the rows of the grid travel several millimetres within one millimetre.
        assert np.percentile(stretch, 99) < 1.5, name
        assert stretch.max() < 6.0, name


@pytest.mark.parametrize("name", ["mouthSmile", "eyeBlink", "browInnerUp", "eyeLookOut", "cheekPuff"])
def test_left_and_right_are_mirror_images(head: Head, shapes: Expressions, name: str) -> None:
    left = head.neutral + shapes.deltas[shapes.names.index(f"{name}_L")]
    right = head.neutral + shapes.deltas[shapes.names.index(f"{name}_R")]
    mirrored = right * [-1.0, 1.0, 1.0]
    sides = [np.sort(np.round(np.linalg.norm(p - [30.0, -20.0, 70.0], axis=1), 2)) for p in (left, mirrored)]
    # Ears and skin are mirrored exactly; the rings of the eyeballs only up to the choice of their first vertex.
    assert np.abs(sides[0] - sides[1]).max() < 0.06
    moved = np.abs(left - head.neutral).max(1) > 0.5
    assert (left[moved, 0] > 0).mean() > 0.8


def test_blink_closes_the_lids_and_only_that_eye(head: Head, shapes: Expressions) -> None:
    blinked = shapes.mesh(head.neutral, {"eyeBlink_L": 1.0})
    for name, closed in (("eye_L", True), ("eye_R", False)):
        upper, lower = slit(head, name)
        gap = blinked[upper, 1] - blinked[lower, 1]
        assert (gap.max() < 0.6) == closed
        assert gap.min() > -1.0
    assert (blinked[head.part_slice("eyeball_L")] == head.neutral[head.part_slice("eyeball_L")].astype(np.float32)).all()


def test_half_a_blink_keeps_the_lid_in_front_of_the_eyeball(head: Head, shapes: Expressions) -> None:
    center = head.marks.eye_center
    for weight in (0.25, 0.5, 0.75):
        upper, _ = slit(head, "eye_L")
        distance = np.linalg.norm(shapes.mesh(head.neutral, {"eyeBlink_L": weight})[upper] - center, axis=1)
        assert distance.min() > 16.5


def test_jaw_opens_the_mouth_and_leaves_brows_alone(head: Head, shapes: Expressions) -> None:
    opened = shapes.mesh(head.neutral, {"jawOpen": 1.0})
    upper, lower = slit(head, "mouth")
    gap = opened[upper, 1] - opened[lower, 1]
    assert gap[len(gap) // 2] > 15.0
    assert gap[0] < 4.0  # near the corner
    assert np.abs(opened - head.neutral)[head.neutral[:, 1] > 0].max() < 0.5


def test_smile_raises_the_corners_and_frown_lowers_them(head: Head, shapes: Expressions) -> None:
    mouth = next(s for s in head.sheet.slits if s.name == "mouth")
    corners = mouth.loop[[0, len(mouth.loop) // 2]]
    smile = shapes.mesh(head.neutral, both(mouthSmile=1.0))[corners] - head.neutral[corners]
    frown = shapes.mesh(head.neutral, both(mouthFrown=1.0))[corners] - head.neutral[corners]
    assert (smile[:, 1] > 3.0).all()
    assert (frown[:, 1] < -3.0).all()


def test_closed_lips_stay_together_when_the_head_is_at_rest(head: Head) -> None:
    upper, lower = slit(head, "mouth")
    np.testing.assert_allclose(head.neutral[upper], head.neutral[lower], atol=1e-6)


def test_every_weight_of_the_segments_names_a_shape(shapes: Expressions) -> None:
    assert {name for peak in PEAKS.values() for name in peak} <= set(shapes.names)
