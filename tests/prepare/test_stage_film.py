"""Cameras, light and animation of the virtual stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiface.geometry import is_rotation, project_points, projection_matrix, to_head
from multiface.prepare.stage import Stage, StageConfig, build_stage
from multiface.prepare.stage.animation import perform
from multiface.prepare.stage.film import Film
from multiface.prepare.stage.rig import CAMERA_NAMES, REST_POSE, build_rig, camera_gains, pose_at_focus
from multiface.prepare.stage.segments import SEGMENT_COUNT, TEST_SEGMENT, choose_segments, gaze_target, is_sentence
from multiface.prepare.stage.speech import SAMPLE_RATE, Speech
from multiface.prepare.unwrap import unwrap_photo
from multiface.prepare.uv_map import UvMap

SMALL = StageConfig(segments=2, frames_per_segment=2, n_cameras=4, image_size=(128, 84), tex_size=64, seed=3)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return build_stage(SMALL)


def photos(stage: Stage, gains: np.ndarray | None = None) -> dict[str, np.ndarray]:
    scene = stage.scene if gains is None else replace(stage.scene, gains=gains)
    vertices = stage.actor.mesh({})
    return dict(Film(scene).photos(vertices, REST_POSE, stage.actor.access_of(vertices)))


@pytest.mark.parametrize("size", [(256, 167), (100, 200), (2048, 1334)])
def test_front_cameras_see_the_whole_head(size: tuple[int, int], stage: Stage) -> None:
    head = stage.actor.neutral[stage.actor.neutral[:, 1] > -115.0]
    for camera in build_rig(40, size, seed=1):
        uv, depth = project_points(projection_matrix(camera, REST_POSE), head)
        inside = (uv >= 0).all(1) & (uv[:, 0] <= size[1]) & (uv[:, 1] <= size[0]) & (depth > 0)
        assert inside.mean() > 0.85, camera.name
        assert is_rotation(camera.Rt[:, :3], 1e-9)


def test_rig_spreads_over_azimuth_and_elevation_at_about_a_metre() -> None:
    centers = np.array([to_head(REST_POSE, camera.center) for camera in build_rig(40, (256, 167), seed=0)])
    radius = np.linalg.norm(centers, axis=1)
    azimuth = np.degrees(np.arctan2(centers[:, 0], centers[:, 2]))
    elevation = np.degrees(np.arcsin(centers[:, 1] / radius))
    assert ((950 < radius) & (radius < 1150)).all()
    assert np.ptp(azimuth) > 200
    assert np.ptp(elevation) > 80
    assert len(set(CAMERA_NAMES)) == 40


def test_rig_of_fewer_cameras_begins_with_the_same_ones() -> None:
    few, many = build_rig(5, (256, 167), seed=2), build_rig(9, (256, 167), seed=2)
    for a, b in zip(few, many):
        assert a.name == b.name
        np.testing.assert_array_equal(a.Rt, b.Rt)
    np.testing.assert_array_equal(camera_gains(5, 2), camera_gains(9, 2)[:5])


def test_gains_scatter_as_asked() -> None:
    gains = np.log(np.concatenate([camera_gains(40, seed) for seed in range(20)]))
    assert gains.std() == pytest.approx(0.06, rel=0.1)


def test_pose_at_focus_is_where_the_rig_looks() -> None:
    pose = pose_at_focus(build_rig(12, (256, 167), seed=0))
    assert np.linalg.norm(pose[:, 3] - REST_POSE[:, 3]) < 40.0
    np.testing.assert_array_equal(pose[:, :3], REST_POSE[:, :3])


def test_photos_are_dark_as_the_real_ones_and_show_a_head_on_black(stage: Stage) -> None:
    for photo in photos(stage).values():
        brightest = photo.max(-1)
        head = brightest > 20
        assert 0.25 < head.mean() < 0.8
        assert np.median(brightest[~head]) < 8
        assert 40 < np.median(brightest[head]) < 150
        assert (photo == 255).mean() < 0.01


def test_edges_are_anti_aliased(stage: Stage) -> None:
    photo = next(iter(photos(stage).values())).astype(float).max(-1)
    left = [np.flatnonzero(row > 8)[0] for row in photo[20:100]]
    blended = [photo[20 + k, j] / photo[20 + k, j + 3] for k, j in enumerate(left)]
    assert 0.2 < (np.array(blended) < 0.8).mean() < 1.0


def test_textures_differ_between_cameras_by_more_than_a_gain(stage: Stage) -> None:
    """With equal gains, what is left is the highlights: it must exceed what any gain per channel could explain."""
    plain = photos(stage, gains=np.ones_like(stage.scene.gains))
    uv_map = UvMap(stage.actor.topology, 64)
    surface = uv_map.surface(stage.actor.neutral)
    cameras = stage.scene.cameras[:2]
    a, b = (unwrap_photo(surface, projection_matrix(camera, REST_POSE), plain[camera.name]).astype(float) for camera in cameras)
    both_see = (a > 0).all(-1) & (b > 0).all(-1)
    assert both_see.mean() > 0.15
    x, y = a[both_see], b[both_see]
    gain = (x * y).sum(0) / (x * x).sum(0)
    assert np.abs(y - gain * x).mean() > 1.0


def test_camera_gain_scales_the_photo(stage: Stage) -> None:
    gains = np.ones_like(stage.scene.gains)
    plain = photos(stage, gains)[stage.scene.cameras[0].name].astype(float)
    gains = gains.copy()
    gains[0] = (1.2, 1.0, 0.8)
    tinted = photos(stage, gains)[stage.scene.cameras[0].name].astype(float)
    bright = (plain.min(-1) > 30) & (plain.max(-1) < 180)
    np.testing.assert_allclose((tinted[bright] / plain[bright]).mean(0), (1.2, 1.0, 0.8), atol=0.02)


def test_chosen_segments_hold_the_test_segment_and_all_kinds() -> None:
    for count in (1, 3, 8, SEGMENT_COUNT):
        names = choose_segments(count)
        assert len(set(names)) == count
        assert TEST_SEGMENT in names
    kinds = {name.split("_")[0][:3] for name in choose_segments(8)}
    assert {"EXP", "E00", "SEN", "GAZ"} <= kinds


@pytest.mark.parametrize("segment", choose_segments(14))
def test_performances_stay_within_limits(segment: str) -> None:
    acted = perform(segment, 40, seed=5, rest_pose=REST_POSE, shown=choose_segments(14))
    assert (np.diff(acted.numbers) % 3 == 0).all()
    assert (np.diff(acted.numbers) > 0).all()
    weights = np.array([w for table in acted.weights for w in table.values()])
    assert weights.min() >= 0.0
    assert weights.max() <= 1.0
    assert (acted.speech is not None) == is_sentence(segment)
    for pose in acted.poses:
        assert is_rotation(pose[:, :3], 1e-9)
        turn = np.degrees(np.arccos((np.trace(pose[:, :3] @ REST_POSE[:, :3].T) - 1) / 2))
        assert turn < 15
        assert np.linalg.norm(pose[:, 3] - REST_POSE[:, 3]) < 30


def test_long_segments_have_occasional_gaps() -> None:
    steps = np.diff(perform(TEST_SEGMENT, 200, 0, REST_POSE, ()).numbers)
    assert 0.5 < (steps == 3).mean() < 1.0


def test_gaze_grid_has_its_middle_at_twelve() -> None:
    assert gaze_target("GAZ_G1_Regular_Full-led_12") == (0.0, 0.0)
    assert gaze_target("GAZ_G1_Regular_Full-led_0") == (1.0, 1.0)


def test_mouth_opens_when_the_voice_is_loud() -> None:
    speech = Speech(4.0, np.random.default_rng(0))
    sound = speech.sound().astype(float)
    assert len(sound) == 4 * SAMPLE_RATE
    times = np.arange(0.05, 3.9, 1 / 30)
    window = SAMPLE_RATE // 60
    loud = [np.sqrt((sound[int(t * SAMPLE_RATE) - window : int(t * SAMPLE_RATE) + window] ** 2).mean()) for t in times]
    tables = [speech.weights(t) for t in times]
    movement = [sum(w for name, w in table.items() if not name.startswith("mouthPress")) for table in tables]
    assert np.corrcoef(loud, movement)[0, 1] > 0.4
    assert 2000 < np.abs(sound).max() <= 32767
