"""Looking at a frame: the mesh on the photo, and a number that rises when the calibration is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from browser import Browser, find_browser
from multiface.capture import Capture, read_image, write_krt
from multiface.core.errors import ArgumentError, CaptureError, StorageError
from multiface.geometry import Camera, projection_matrix
from multiface.show.alignment import measure_alignment, silhouette_iou, track_points
from multiface.show.avatar import vertex_normals
from multiface.show.config import ShowConfig
from multiface.show.frame_report import FrameReport, cells, show_frame
from multiface.show.overlay import draw_wireframe, render_texture, view_mesh, visible_edges
from multiface.show.rig import draw_rig
from small_capture import dome, grid_topology

SIZE = (240, 180)


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Path:
    from multiface.prepare.stage import StageConfig, write_capture

    out = tmp_path_factory.mktemp("captures") / "stage"
    write_capture(StageConfig(segments=1, frames_per_segment=1, n_cameras=3, image_size=(256, 176), tex_size=256), out)
    return out


def scene():
    topology = grid_topology(6)
    vertices = dome(topology, 80.0)
    rotation = np.diag([1.0, -1.0, -1.0])
    camera = Camera("1", np.array([[900.0, 0, 90], [0, 900, 120], [0, 0, 1]]), np.column_stack([rotation, [0, 0, 1000]]), SIZE)
    pose = np.eye(4)[:3]
    return topology, vertices, projection_matrix(camera, pose), camera


def pattern() -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.integers(60, 200, (24, 24, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 6, 0), 6, 1)


def test_a_shift_of_the_photo_is_measured_to_a_fraction_of_a_pixel():
    topology, vertices, projection, _ = scene()
    view = view_mesh(vertices, projection, topology, SIZE)
    rendering = render_texture(view, topology, pattern())
    assert measure_alignment(rendering, rendering, view).error_px < 0.02
    photo = np.roll(rendering, (3, -4), (0, 1))
    found = measure_alignment(photo, rendering, view)
    assert found.error_px == pytest.approx(5, abs=0.1)
    assert found.shift_px == pytest.approx((-4, 3), abs=0.1)
    assert found.error_mm == pytest.approx(5 * 950 / 900, rel=0.05)  # by depth and focal length
    assert found.psnr < measure_alignment(rendering, rendering, view).psnr and found.verdict == "wrong"


def test_a_photo_of_something_else_does_not_fit():
    topology, vertices, projection, _ = scene()
    view = view_mesh(vertices, projection, topology, SIZE)
    rendering = render_texture(view, topology, pattern())
    noise = np.random.default_rng(1).integers(0, 255, rendering.shape, dtype=np.uint8)
    found = measure_alignment(noise, rendering, view)
    assert found.points < 0.2 * found.searched and found.verdict == "wrong"
    assert track_points(rendering, noise, np.zeros(SIZE, bool))[2] == 0
    assert measure_alignment(noise, None, view).verdict == "unknown"


def test_the_silhouette_needs_a_dark_background():
    covered = np.zeros((40, 30), bool)
    covered[10:30, 8:22] = True
    photo = np.where(covered, 120, 3).astype(np.uint8)[..., None].repeat(3, 2)
    assert silhouette_iou(photo, covered) == 1
    assert silhouette_iou(np.roll(photo, 5, 0), covered) == pytest.approx(15 / 25)
    assert silhouette_iou(np.full_like(photo, 90), covered) is None
    assert silhouette_iou(photo, np.zeros_like(covered)) is None


def test_only_edges_that_can_be_seen_are_drawn():
    topology, vertices, projection, _ = scene()
    both = np.concatenate([vertices, vertices - [0, 0, 300.0]]).astype(np.float32)  # a second sheet behind the first
    faces = np.concatenate([topology.faces, topology.faces + len(vertices)])
    double = replace(topology, faces=faces, uv_faces=np.concatenate([topology.uv_faces] * 2))
    view = view_mesh(both, projection, double, SIZE)
    edges = visible_edges(view.triangle, double.faces)
    assert edges.max() < len(vertices) and len(edges) == 6 * 7 * 2 + 36
    drawn = draw_wireframe(np.zeros((*SIZE, 3), np.uint8), view, double)
    assert drawn.shape == (*SIZE, 3) and drawn[~view.covered].sum() < 0.1 * drawn.sum() and drawn.any()


def test_a_fine_mesh_is_drawn_on_an_enlarged_photo():
    topology = grid_topology(40)
    _, _, projection, _ = scene()
    view = view_mesh(dome(topology, 80.0), projection, topology, SIZE)
    drawn = draw_wireframe(np.full((*SIZE, 3), 90, np.uint8), view, topology)
    assert drawn.shape == (3 * SIZE[0], 3 * SIZE[1], 3)
    untouched = (drawn == 90).all(-1)[SIZE[0] : 2 * SIZE[0], SIZE[1] : 2 * SIZE[1]].mean()
    assert 0.3 < untouched < 0.95  # lines, with the photo between them


def test_the_normals_of_a_sheet_point_to_the_viewer():
    topology, vertices, projection, _ = scene()
    normals = vertex_normals(torch.from_numpy(vertices)[None], torch.from_numpy(topology.faces).long())[0]
    assert torch.allclose(normals.norm(dim=1), torch.ones(len(vertices))) and (normals[:, 2] > 0.3).all()
    view = view_mesh(vertices, projection, topology, SIZE)
    assert view.normals[120, 90] @ [0, 0, 1] > 0.95 and not view.normals[~view.covered].any()


def test_the_rig_is_drawn_with_every_camera():
    _, vertices, _, camera = scene()
    empty = draw_rig({}, vertices, np.eye(4)[:3], width=300)
    one = draw_rig({"1": camera}, vertices, np.eye(4)[:3], width=300)
    assert one.shape == empty.shape == (150, 300, 3) and (one != empty).any()


def report(stage: Path, out: Path, **options) -> FrameReport:
    return show_frame(ShowConfig(capture=stage, out=out, **options))


@pytest.fixture(scope="module")
def right(stage, tmp_path_factory) -> FrameReport:
    """All cameras with their own calibration."""
    return report(stage, tmp_path_factory.mktemp("right") / "out")


def test_a_right_calibration_is_called_good_and_everything_is_written(right):
    assert right.verdict == "good" and right.misfits == [] and right.error_mm < 0.7
    assert all(a.psnr > 28 and a.silhouette_iou and a.silhouette_iou > 0.97 for a in right.cameras.values())
    names = {path.name for path in right.files}
    assert {"photos.png", "meshes.png", "normals.png", "rig.png", "average.png", "textures.png"} <= names
    assert {f"{kind}_{name}.png" for kind in ("wireframe", "normals", "rendering") for name in right.cameras} <= names
    assert all(path.stat().st_size for path in right.files)
    assert "3 cameras" in right.page.read_text(encoding="utf-8")
    assert {path.name for path in right.page.parent.iterdir()} == {*names, "index.html"}
    assert read_image(right.page.parent / f"rendering_{next(iter(right.cameras))}.png").shape == (256, 176, 3)


def test_one_camera_is_not_called_cameras(stage, right, tmp_path):
    page = report(stage, tmp_path, cameras=(next(iter(right.cameras)),)).page.read_text(encoding="utf-8")
    assert "1 camera<" in page and "1 cameras" not in page


@pytest.mark.parametrize(("axis", "degrees"), [(1, 0.3), (0, -0.4), (2, 4.0)])
def test_the_number_rises_when_one_camera_is_turned(stage, right, tmp_path, axis, degrees):
    cameras = list(Capture(stage).cameras.values())
    cameras[1] = replace(cameras[1], Rt=turn(axis, degrees) @ cameras[1].Rt)
    write_krt(tmp_path / "KRT", cameras)
    same, turned = cameras[0].name, cameras[1].name
    after = report(stage, tmp_path / "wrong", krt=tmp_path / "KRT", cameras=(same, turned))
    assert after.cameras[same] == right.cameras[same]
    assert after.cameras[turned].error_px > right.cameras[turned].error_px + 2
    assert after.cameras[turned].psnr < right.cameras[turned].psnr - 2
    assert after.verdict == "wrong" and after.misfits == [turned]


def turn(axis: int, degrees: float) -> np.ndarray:
    import cv2

    return cv2.Rodrigues(np.deg2rad(degrees) * np.eye(3)[axis])[0]


def test_without_textures_only_the_silhouette_is_measured(stage, tmp_path):
    for name in ("KRT", "images", "tracked_mesh", "frame_list.txt"):
        (tmp_path / "bare").mkdir(exist_ok=True)
        (tmp_path / "bare" / name).symlink_to(stage / name)
    found = report(tmp_path / "bare", tmp_path / "out")
    assert found.verdict == "unknown" and "multiface unwrap" in found.notes[0]
    assert all(cells(a)[:-1] == ["-"] * 5 for a in found.cameras.values())  # nothing was looked for, so nothing is "not found"
    assert all(a.silhouette_iou and a.silhouette_iou > 0.97 for a in found.cameras.values())


def test_mistakes_are_answered_with_the_nearest_names(stage, tmp_path):
    key = Capture(stage).frames[0]
    with pytest.raises(CaptureError, match=f"nearest {key.frame}"):
        report(stage, tmp_path, frame=f"{key.segment}/{int(key.frame) + 1:06d}")
    with pytest.raises(CaptureError, match=f"nearest {key.segment}"):
        report(stage, tmp_path, frame="EXP_RON/000001")
    with pytest.raises(ArgumentError, match="SEGMENT/FRAME"):
        report(stage, tmp_path, frame="000001")
    with pytest.raises(CaptureError, match=r"no camera 400003.*nearest 40000"):
        report(stage, tmp_path, cameras=("400003",))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        report(stage, tmp_path / "file" / "out")


@pytest.mark.skipif(find_browser() is None, reason="no browser here to look at the page with")
@pytest.mark.parametrize("phone", [True, False])
def test_the_page_is_alive_in_a_browser(right, tmp_path, phone):
    with Browser(tmp_path, width=390 if phone else 1280, phone=phone, dark=phone) as browser:
        browser.open(right.page)
        widths = browser.run("[...document.querySelectorAll('main img')].map(i => i.naturalWidth)")
        assert len(widths) >= 17 and all(widths)
        assert browser.run("document.documentElement.scrollWidth") <= browser.run("innerWidth")
        assert browser.errors == []
