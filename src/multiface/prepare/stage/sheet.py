"""The skin as one sheet: a grid of rows and columns over the head with three slits (eyes, mouth) and the rims inside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from multiface.prepare.stage.landmarks import EYE_HALF_WIDTH, Landmarks
from multiface.prepare.stage.skull import EYES, MOUTH, NECK_END, Skull
from multiface.prepare.stage.splines import smoothstep

# Rows between two sections of the skull, and the power that crowds them towards a slit (negative: towards the upper end).
_ROWS = [2, 3, 3, 2, 3, 3, 3, 8, 8, 5, 7, 4, 6, 6, 2, 3, 3, 2, 3, 2, 2]
_CROWDING = {7: 1.35, 8: -1.35, 12: 1.2, 13: -1.2}
_NOSE_COLUMNS, _EYE_COLUMNS, _CHEEK_COLUMNS, _BACK_COLUMNS = 9, 14, 6, 7
EYE_RINGS, MOUTH_RINGS = 2, 5
_MOUTH_COLUMN = 16  # from the midline; moved sideways to the corner of each mouth, so that all heads share one topology


@dataclass
class Slit:
    """A stretch of one grid row whose vertices are doubled: an opening with an upper and a lower margin.

    The loop runs from the first corner along the upper margin to the second corner and back along the lower margin.
    """

    name: str
    row: int
    first: int
    last: int
    loop: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # vertex ids of the margin
    uv_loop: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    rings: list[np.ndarray] = field(default_factory=list)  # vertex ids of each rim inside the opening
    uv_rings: list[np.ndarray] = field(default_factory=list)

    @property
    def side(self) -> np.ndarray:
        """+1 for the vertices of the loop on the upper margin, -1 on the lower one, 0 at the two corners."""
        inner = self.last - self.first - 1
        return np.concatenate([[0], np.ones(inner), [0], -np.ones(inner)])


class SkinSheet:
    """Vertices, uv vertices and triangles of the skin; positions are made from the row and column coordinates elsewhere.

    Attributes:
        t, a: (N,) coordinates on the :class:`Skull` of each vertex, as if all slits were closed.
        margin: (N,) +1 / -1 where the vertex is the upper / lower margin of a slit, else 0.
        uv_t, uv_a, uv_margin: the same for the uv vertices, which are doubled along the seam at the back.
        faces, uv_faces: (F, 3) int32, counter-clockwise seen from outside.
        slits: the left eye (x > 0), the right eye, the mouth.
    """

    def __init__(self, skull: Skull, marks: Landmarks) -> None:
        self.row_t = _row_coordinates()
        self.column_a = _column_coordinates(skull, marks)
        middle = len(self.column_a) // 2
        eye_row = int(np.flatnonzero(self.row_t == EYES)[0])
        mouth_row = int(np.flatnonzero(self.row_t == MOUTH)[0])
        inner, outer = _NOSE_COLUMNS, _NOSE_COLUMNS + _EYE_COLUMNS
        self.slits = [
            Slit("eye_L", eye_row, middle + inner, middle + outer),
            Slit("eye_R", eye_row, middle - outer, middle - inner),
            Slit("mouth", mouth_row, middle - _MOUTH_COLUMN, middle + _MOUTH_COLUMN),
        ]
        self._mouth_stretch = self._stretch_to_corner(skull, marks, middle + _MOUTH_COLUMN)
        self._number()
        self._connect()

    def column_coordinate(self, t: np.ndarray, a: np.ndarray) -> np.ndarray:
        """``a`` moved sideways near the mouth so that one column passes exactly through its corner."""
        sine = np.sin(np.clip(np.abs(a), 0, 1) * np.pi / 2)
        factor = 1.0 + (self._mouth_stretch - 1.0) * np.exp(-(((t - MOUTH) / 2.4) ** 2)) * smoothstep(0.95, 0.5, sine)
        moved = np.sign(a) * np.arcsin(np.clip(sine * factor, 0, 1)) * 2 / np.pi
        return np.where(np.abs(a) < 1.0, moved, a)

    def _stretch_to_corner(self, skull: Skull, marks: Landmarks, column: int) -> float:
        return marks.mouth_x / (skull.half_width(MOUTH) * np.sin(self.column_a[column] * np.pi / 2))

    def _number(self) -> None:
        """Give ids to the grid: ``below`` serves the cells under a row, ``above`` the cells over it; they differ at slits."""
        rows, columns = len(self.row_t), len(self.column_a)
        wrap = columns - 1
        grid = 1 + (np.arange(rows) - 1)[:, None] * wrap + np.arange(columns)[None, :] % wrap
        grid[0] = 0
        uv_grid = np.arange(rows * columns).reshape(rows, columns)
        count, uv_count = int(grid.max()) + 1, uv_grid.size
        self.t, self.a = np.zeros(count), np.zeros(count)
        self.t[grid.ravel()] = np.repeat(self.row_t, columns)
        self.a[grid[:, :wrap].ravel()] = np.tile(self.column_a[:wrap], rows)
        self.a[0] = 0.0
        self.uv_t, self.uv_a = np.repeat(self.row_t, columns), np.tile(self.column_a, rows)
        self.margin, self.uv_margin = np.zeros(count), np.zeros(uv_count)
        self._above, self._below = grid, grid.copy()
        self._uv_above, self._uv_below = uv_grid, uv_grid.copy()
        for slit in self.slits:
            self._open(slit)

    def _open(self, slit: Slit) -> None:
        inner = np.arange(slit.first + 1, slit.last)
        for above, below, names in ((self._above, self._below, ("t", "a", "margin")),
                                    (self._uv_above, self._uv_below, ("uv_t", "uv_a", "uv_margin"))):  # fmt: skip
            old = above[slit.row, inner]
            new = len(getattr(self, names[0])) + np.arange(len(inner))
            below[slit.row, inner] = new
            for name in names:
                setattr(self, name, np.concatenate([getattr(self, name), getattr(self, name)[old]]))
            getattr(self, names[2])[old] = 1.0
            getattr(self, names[2])[new] = -1.0
        slit.loop = _loop(slit, self._above, self._below)
        slit.uv_loop = _loop(slit, self._uv_above, self._uv_below)

    def _connect(self) -> None:
        rows = len(self.row_t)
        faces, uv_faces = [], []
        for ids_above, ids_below, out in ((self._above, self._below, faces), (self._uv_above, self._uv_below, uv_faces)):
            top, bottom = ids_below[:-1], ids_above[1:]  # a cell hangs from the `below` ids of the row over it
            out.append(np.stack([top[0, :-1], bottom[0, :-1], bottom[0, 1:]], -1))  # fan around the crown
            for i in range(1, rows - 1):
                out.append(_quads(top[i, :-1], bottom[i, :-1], bottom[i, 1:], top[i, 1:], self.column_a))
        count, uv_count = len(self.t), len(self.uv_t)
        for slit in self.slits:
            rings = MOUTH_RINGS if slit.name == "mouth" else EYE_RINGS
            n = len(slit.loop)
            slit.rings = [count + k * n + np.arange(n) for k in range(rings)]
            slit.uv_rings = [uv_count + k * n + np.arange(n) for k in range(rings)]
            count, uv_count = count + rings * n, uv_count + rings * n
            faces += _rim_faces([slit.loop, *slit.rings], closed=slit.name == "mouth")
            uv_faces += _rim_faces([slit.uv_loop, *slit.uv_rings], closed=slit.name == "mouth")
        self.vertex_count, self.uv_count = count, uv_count
        self.faces = np.concatenate(faces).astype(np.int32)
        self.uv_faces = np.concatenate(uv_faces).astype(np.int32)


def _row_coordinates() -> np.ndarray:
    rows = []
    for section, number in enumerate(_ROWS):
        s = np.arange(number) / number
        power = _CROWDING.get(section, 1.0)
        rows.append(section + (s**-power if power < 0 else 1.0 - (1.0 - s) ** power))
    return np.concatenate([*rows, [float(NECK_END)]])


def _column_coordinates(skull: Skull, marks: Landmarks) -> np.ndarray:
    nose = np.linspace(0.0, marks.inner_corner, _NOSE_COLUMNS + 1)[:-1]
    s = np.linspace(0.0, 1.0, _EYE_COLUMNS + 1)
    eye = marks.inner_corner + 2 * EYE_HALF_WIDTH * (0.75 * s + 0.25 * (0.5 - 0.5 * np.cos(np.pi * s)))
    front = np.arcsin(np.concatenate([nose, eye]) / skull.half_width(EYES)) * 2 / np.pi
    cheek = front[-1] + (1.0 - front[-1]) * np.arange(1, _CHEEK_COLUMNS + 1) / _CHEEK_COLUMNS
    back = 1.0 + np.arange(1, _BACK_COLUMNS + 1) / _BACK_COLUMNS
    half = np.concatenate([front, cheek, back])
    return np.concatenate([-half[:0:-1], half])


def _loop(slit: Slit, above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.concatenate([above[slit.row, slit.first : slit.last + 1], below[slit.row, slit.last - 1 : slit.first : -1]])


def _quads(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, column_a: np.ndarray) -> np.ndarray:
    """Two triangles per cell (top left, bottom left, bottom right, top right), the diagonals mirrored about the midline."""
    left = (column_a[:-1] + column_a[1:] < 0)[:, None]
    first = np.where(left, np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    second = np.where(left, np.stack([a, c, d], -1), np.stack([b, c, d], -1))
    return np.concatenate([first, second])


def _rim_faces(rings: list[np.ndarray], closed: bool) -> list[np.ndarray]:
    out = []
    for outer, inner in pairwise(rings):
        following, inner_following = np.roll(outer, -1), np.roll(inner, -1)
        out.append(np.stack([outer, inner, inner_following], -1))
        out.append(np.stack([outer, inner_following, following], -1))
    if closed:  # the last ring is shut by a strip between its upper and lower margin
        last = rings[-1]
        half = len(last) // 2
        upper, lower = last[: half + 1], np.concatenate([last[:1], last[: half - 1 : -1]])
        a, b, c, d = upper[:-1], lower[:-1], lower[1:], upper[1:]
        out.append(np.stack([a[1:], b[1:], c[1:]], -1))
        out.append(np.stack([a[:-1], c[:-1], d[:-1]], -1))
    return out
