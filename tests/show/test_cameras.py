"""Cameras that were never there look where they should."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.core.errors import FormatError
from multiface.geometry import project_points
from multiface.show.cameras import Framing, Place, along, read_camera_path, stations_of_capture, turntable
from small_capture import dome, grid_topology

HEAD = dome(grid_topology(), 90.0)
SIZE = (300, 200)

places = st.builds(Place, st.floats(-180, 180), st.floats(-80, 80), st.floats(400, 3000))


@given(places)
def test_the_middle_of_the_head_is_the_middle_of_the_picture_and_up_is_up(place):
    framing = Framing(HEAD, SIZE)
    projection = framing.projection(place)
    above = framing.middle + [0, 5.0, 0]
    (u, v), depth = project_points(projection.astype(float), framing.middle)
    assert u == pytest.approx(100, abs=0.1) and v == pytest.approx(150, abs=0.1)
    assert depth == pytest.approx(place.distance, rel=1e-4)
    (u_above, v_above), _ = project_points(projection.astype(float), above)
    assert v_above < v and u_above == pytest.approx(u, abs=0.1)


def test_the_left_side_of_a_face_is_on_the_right_from_the_front_and_in_front_from_the_left():
    framing = Framing(HEAD, SIZE)
    left = framing.middle + [20.0, 0, 0]  # x points to the subject's left
    front = project_points(framing.projection(Place(0, 0, 1000)), left)[0]
    assert front[0] > SIZE[1] / 2
    side = project_points(framing.projection(Place(90, 0, 1000)), left)
    assert side[1] < 1000 and framing.view(Place(90, 0, 1000))[0] > 0.9


@pytest.mark.parametrize("yaw", [-60, 0, 45, 180])
def test_the_head_fits_into_the_picture_from_every_side(yaw):
    pixels, depth = project_points(Framing(HEAD, SIZE).projection(Place(yaw, 4, 1000)), HEAD)
    assert (depth > 0).all()
    assert (pixels >= 0).all() and (pixels <= [SIZE[1], SIZE[0]]).all()
    assert max(np.ptp(pixels[:, 0]) / SIZE[1], np.ptp(pixels[:, 1]) / SIZE[0]) > 0.6


def test_a_turntable_ends_where_it_began():
    swing = turntable(40, 110, 900)
    yaw = np.array([place.yaw for place in swing])
    assert yaw.max() == pytest.approx(55, abs=1) and yaw.min() == pytest.approx(-55, abs=1)
    assert abs(yaw[-1] - yaw[0]) < 10 and np.abs(np.diff(yaw)).max() < 10
    assert [place.yaw for place in turntable(4, 360, 900)] == pytest.approx([0, 90, 180, 270])


def test_a_path_goes_through_its_stations():
    stations = [Place(-40, 0, 800), Place(0, 20, 900), Place(40, 0, 1000)]
    path = along(stations, 30)
    assert len(path) == 30
    for number, station in enumerate(stations):
        assert (path[10 * number].yaw, path[10 * number].pitch) == pytest.approx((station.yaw, station.pitch))
    assert along(stations[:1], 3) == stations[:1] * 3


def test_the_cameras_of_a_capture_are_met_from_right_to_left(small_capture_folder):
    from multiface.capture import Capture

    capture = Capture(small_capture_folder)
    key = capture.frames[0]
    framing = Framing(capture.vertices(key), SIZE)
    stations = stations_of_capture(capture, key, framing, 1000.0)
    yaws = [place.yaw for place in stations]
    assert len(yaws) == 3 and yaws == sorted(yaws)
    for camera in capture.cameras:  # the direction to each camera is among the stations, as the head sees it
        view = capture.view(key, camera)
        assert min(np.linalg.norm(place.direction() - view) for place in stations) < 0.1


def test_a_camera_path_is_read_and_mistakes_are_named(tmp_path):
    file = tmp_path / "path.json"
    file.write_text(json.dumps([{"yaw": -40}, {"yaw": 20, "pitch": 10, "distance": 700}]))
    assert read_camera_path(file, 950.0) == [Place(-40, 0, 950), Place(20, 10, 700)]
    for bad in (
        [],
        {},
        [{"pitch": 1}],
        [{"yaw": "a"}],
        [{"yaw": 0, "pitch": 89}],
        [{"yaw": 0, "roll": 3}],
        [{"yaw": 0, "distance": 1}],
    ):
        file.write_text(json.dumps(bad))
        with pytest.raises(FormatError, match="camera path"):
            read_camera_path(file, 950.0)
