"""The camera rig as a drawing: where every camera stands, which way it looks, and the head in the middle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiface.geometry import Camera, to_world
from multiface.show.text import INK, MUTED, PAPER

ACCENT = (255, 122, 162)
_LARGER = 2  # drawn this many times larger and averaged down, for smooth lines


def draw_rig(
    cameras: Mapping[str, Camera],
    vertices: np.ndarray,
    head_pose: np.ndarray,
    *,
    chosen: tuple[str, ...] = (),
    width: int = 1400,
) -> np.ndarray:
    """uint8 (H, W, 3) drawing of the rig from obliquely above, and as the person sees it.

    Args:
        cameras: By name.
        vertices: (V, 3) mesh of a frame, head space, mm; the scale bar is in the calibration's unit, mm.
        head_pose: (3, 4) head -> world of that frame.
        chosen: Cameras to be drawn in colour.
        width: Pixels.
    """
    from PIL import Image, ImageDraw

    head = to_world(head_pose, vertices[:: max(1, len(vertices) // 2500)])
    axes = _head_axes(head_pose)
    size = (round(0.5 * width) * _LARGER, width // 2 * _LARGER)
    sheet = Image.new("RGB", (2 * size[1], size[0]), PAPER)
    for number, (title, turn) in enumerate((("from above", (35.0, -48.0)), ("as the person sees it", (180.0, 0.0)))):
        panel = Image.new("RGB", (size[1], size[0]), PAPER)
        _draw_view(ImageDraw.Draw(panel), panel.size, cameras, head, axes @ _turned(*turn), head_pose[:, 3], chosen, title)
        sheet.paste(panel, (number * size[1], 0))
    small = sheet.resize((sheet.width // _LARGER, sheet.height // _LARGER), Image.Resampling.LANCZOS)
    return np.array(small, dtype=np.uint8)


def _head_axes(head_pose: np.ndarray) -> np.ndarray:
    """(3, 3) columns: to the viewer's right, down, and away from someone who faces the head, in world space."""
    return head_pose[:, :3] @ np.diag([1.0, -1.0, -1.0])


def _turned(yaw: float, pitch: float) -> np.ndarray:
    """The viewer walks by ``yaw`` around the head and rises by ``-pitch`` degrees."""
    a, b = np.deg2rad(yaw), np.deg2rad(pitch)
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_y @ about_x


def _draw_view(draw, size, cameras, head, axes, middle, chosen, title) -> None:
    from PIL import ImageFont

    frusta = {name: _frustum(camera, 0.12 * np.linalg.norm(camera.center - middle)) for name, camera in cameras.items()}
    everything = np.concatenate([head, *frusta.values()]) if frusta else head
    flat = (everything - middle) @ axes[:, :2]
    low, high = flat.min(0), flat.max(0)
    margin = 0.09 * min(size)
    scale = min((np.array(size) - 2 * margin) / np.maximum(high - low, 1e-6))
    centre = np.array(size) / 2 - scale * (low + high) / 2

    def at(points: np.ndarray) -> np.ndarray:
        return ((points - middle) @ axes[:, :2]) * scale + centre

    for u, v in at(head):
        draw.ellipse((u - 1.5, v - 1.5, u + 1.5, v + 1.5), fill=(104, 112, 128))
    font = ImageFont.load_default(max(14.0, size[0] / (52 if len(cameras) <= 60 else 90)))
    far_first = sorted(frusta, key=lambda name: -float((cameras[name].center - middle) @ axes[:, 2]))
    taken: list[tuple[float, ...]] = []
    for name in far_first:
        colour = ACCENT if name in chosen else INK
        corners = at(frusta[name])
        _draw_camera(draw, corners, colour)
        _label(draw, corners[0], name, colour, font, size, taken)
    _scale_bar(draw, size, scale, font)
    draw.text((margin / 3, margin / 3), title, fill=MUTED, font=ImageFont.load_default(size[0] / 38))


def _draw_camera(draw, corners: np.ndarray, colour) -> None:
    apex, picture = tuple(corners[0]), [tuple(corner) for corner in corners[1:]]
    for corner in picture:
        draw.line([apex, corner], fill=colour, width=2)
    draw.polygon(picture, outline=colour, width=2)
    draw.line([picture[0], picture[1]], fill=ACCENT, width=5)  # the upper edge of the picture


def _label(draw, apex: np.ndarray, name: str, colour, font, size, taken: list[tuple[float, ...]]) -> None:
    """The camera's name behind it, moved up or down where another name is already."""
    away = np.sign(apex - np.array(size) / 2)
    anchor = ("l" if away[0] >= 0 else "r") + "m"
    x, y = apex + 8 * away
    for lines in (0, 1, -1, 2, -2, 3, -3):
        place = (x, y + lines * 1.05 * font.size)
        box = draw.textbbox(place, name, font=font, anchor=anchor)
        if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            break
    taken.append(box)
    draw.text(place, name, fill=colour, font=font, anchor=anchor)


def _frustum(camera: Camera, depth: float) -> np.ndarray:
    """(5, 3) world: the optical centre, then the corners of the picture ``depth`` mm in front of it, the upper two first."""
    height, width = camera.size
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float)
    rays = corners @ np.linalg.inv(camera.K).T * depth
    return np.concatenate([camera.center[None], rays @ camera.Rt[:, :3] + camera.center])


def _scale_bar(draw, size, scale: float, font) -> None:
    """A bar of a round number of millimetres in the lower left corner."""
    wanted = 0.2 * size[0] / scale
    length = 10 ** np.floor(np.log10(wanted))
    length *= max(step for step in (1, 2, 5) if step * length <= wanted)
    left, bottom = 0.03 * size[0], 0.965 * size[1]
    draw.line([(left, bottom), (left + length * scale, bottom)], fill=MUTED, width=4)
    draw.text((left, bottom - 8), f"{length:,.0f} mm", fill=MUTED, font=font, anchor="lb")
