"""A capture folder, read lazily."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from multiface.capture.frame_list import read_frame_list
from multiface.capture.head_pose import read_head_pose
from multiface.capture.krt import PHOTO_SIZE, read_krt
from multiface.capture.layout import DEFAULT_TEXTURE_SIZE, TEXTURE_FOLDER, CaptureLayout
from multiface.capture.listing import Listing
from multiface.capture.names import FrameKey, entity_of, frame_order
from multiface.capture.pictures import Pictures
from multiface.capture.presence import Presence
from multiface.capture.statistics import Statistics, read_statistics
from multiface.capture.store import open_store
from multiface.capture.topology import read_topology, topology_files
from multiface.capture.unfinished import Unfinished
from multiface.capture.vertices import count_vertices, read_vertices
from multiface.core.errors import CaptureError, FormatError
from multiface.geometry import Camera, Topology, projection_matrix, view_direction

_CONTENT = "A capture folder holds KRT, frame_list.txt, tracked_mesh/, images/ and, once unwrapped, unwrapped_uv_<T>/"


class Capture:
    """One multi-view face capture: a folder in the published layout, or a store made by ``multiface pack`` (a folder or a
    web address).

    Making one reads the calibration only. Everything else is read when asked for. Folder listings (``listing``), cameras,
    frames, topology and statistics are kept; pictures, meshes and poses are not. It can be used by several threads and be
    sent to other processes. Files that appear later in a folder that was listed before are not seen.

    Args:
        path: The capture folder, or the folder or web address of a store.
        texture_size: Which of several ``unwrapped_uv_<T>`` folders to use; the largest when absent. A store has one only.
        krt: Calibration file to use instead of the folder's own.

    Raises:
        CaptureError: there is no such folder, or no KRT in it.
        FormatError: the KRT cannot be read.
    """

    def __init__(self, path: str | Path, texture_size: int | None = None, *, krt: str | Path | None = None) -> None:
        opened = open_store(path)
        self.store, self._store_name = opened if opened is not None else (None, "")
        self.path = Path(path) if self.store is None else self.store.root
        if not self.path.is_dir():
            what = "this is no folder" if self.path.exists() else "there is no such folder"
            raise CaptureError(what, where=self.path, expected="a capture folder", remedy=_CONTENT)
        if krt is None and not (self.path / "KRT").exists():
            what = "a pack that was not finished" if (self.path / ".pack.json").is_file() else "no capture: it has no KRT file"
            raise CaptureError(f"this folder is {what}", where=self.path, remedy=_CONTENT)
        self._wanted_texture_size = texture_size
        self._calibration = read_krt(self.path / "KRT" if krt is None else krt)
        self._indices = {name: index for index, name in enumerate(self._calibration)}
        self.listing = Listing(self.path) if self.store is None else self.store.listing

    def __repr__(self) -> str:
        return f"Capture({str(self.path)!r})"

    def __getstate__(self) -> dict:
        state = dict(self.__dict__)
        for name in ("listing", "_presence", "_pictures"):  # may hold millions of names; the other process lists what it needs
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.listing = Listing(self.path) if self.store is None else self.store.listing

    @property
    def name(self) -> str:
        """Name of the folder, or last part of the web address."""
        return self._store_name or Path(os.path.abspath(self.path)).name  # noqa: PTH100 - resolve() would follow links to other names

    @property
    def entity(self) -> str | None:
        """Id of the person: second field from the end of the name split at ``--``; ``None`` without ``--``."""
        return entity_of(self.name)

    @cached_property
    def layout(self) -> CaptureLayout:
        """All paths."""
        return CaptureLayout(self.path, self.texture_size or DEFAULT_TEXTURE_SIZE)

    @cached_property
    def _presence(self) -> Presence:
        return Presence(self.layout, self.listing, self.calibrated)

    @cached_property
    def _pictures(self) -> Pictures:
        return Pictures(self.layout, self.listing, self.store)

    @cached_property
    def texture_sizes(self) -> tuple[int, ...]:
        """Sizes T of all ``unwrapped_uv_<T>`` folders, ascending."""
        matches = map(TEXTURE_FOLDER.fullmatch, self.listing.folders(self.path))
        return tuple(sorted(int(match[1]) for match in matches if match))

    @property
    def texture_size(self) -> int | None:
        """T of the textures in use; ``None`` when there are no textures."""
        if self._wanted_texture_size is not None and self.store is None:
            return self._wanted_texture_size
        return self.texture_sizes[-1] if self.texture_sizes else None

    # Cameras

    @cached_property
    def cameras(self) -> dict[str, Camera]:
        """Cameras by name in KRT order. ``size`` is that of one photo of the camera, else of any photo, else 2048 x 1334."""
        sizes = {name: self._pictures.photo_size(name) for name in self._calibration}
        other = next((size for size in sizes.values() if size), PHOTO_SIZE)
        return {name: replace(camera, size=sizes[name] or other) for name, camera in self._calibration.items()}

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Names of the cameras in KRT order, without looking at any photo."""
        return tuple(self._indices)

    def camera(self, name: str) -> Camera:
        """The camera of that name, or a :class:`CaptureError` that lists the names."""
        self.camera_index(name)
        return self.cameras[name]

    def camera_index(self, name: str) -> int:
        """Position of a camera in the KRT."""
        if name not in self._indices:
            raise CaptureError(
                f"there is no camera '{name}'",
                where=self.path / "KRT",
                expected="one of " + " ".join(self._indices),
                remedy="Add its calibration, or leave that camera out",
            )
        return self._indices[name]

    # Frames

    @cached_property
    def frames(self) -> tuple[FrameKey, ...]:
        """Frames in the order of frame_list.txt, each once; without that file all tracked meshes, sorted."""
        if self.layout.frame_list.exists():
            return tuple(dict.fromkeys(read_frame_list(self.layout.frame_list)))
        found = self._presence.frames_with_mesh()
        if not found:
            raise CaptureError(
                "capture has no frames: neither frame_list.txt nor tracked_mesh/<segment>/<frame>.bin", where=self.path
            )
        return found

    @cached_property
    def segments(self) -> dict[str, tuple[FrameKey, ...]]:
        """Frames of each segment by frame number; segments in the order in which they first come."""
        by_segment: dict[str, list[FrameKey]] = {}
        for key in self.frames:
            by_segment.setdefault(key.segment, []).append(key)
        return {name: tuple(sorted(keys, key=lambda key: frame_order(key.frame))) for name, keys in by_segment.items()}

    @property
    def mesh_segments(self) -> tuple[str, ...]:
        """Segments that have a folder of meshes."""
        return self.listing.folders(self.layout.meshes)

    def has_mesh(self, key: FrameKey) -> bool:
        """Whether the vertex positions of a frame are there (by name; nothing is opened)."""
        return self._presence.has_mesh_file(key.segment, f"{key.frame}.bin")

    def has_head_pose(self, key: FrameKey) -> bool:
        """Whether the head pose of a frame is there."""
        return self._presence.has_mesh_file(key.segment, f"{key.frame}_transform.txt")

    def has_photo(self, key: FrameKey, camera: str) -> bool:
        """Whether a camera's photo of a frame is there."""
        return self._presence.has_picture("photo", key, camera)

    def has_texture(self, key: FrameKey, camera: str) -> bool:
        """Whether a camera's texture of a frame (or the ``"average"`` one) is there."""
        return self._presence.has_picture("texture", key, camera)

    def cameras_with_photo(self, key: FrameKey) -> frozenset[str]:
        """All cameras of KRT whose photo of a frame is there."""
        return self._presence.cameras_with_picture("photo", key)

    def cameras_with_texture(self, key: FrameKey) -> frozenset[str]:
        """All cameras of KRT whose texture of a frame is there."""
        return self._presence.cameras_with_picture("texture", key)

    def read_listings(self, segments: Iterable[str], cameras: Iterable[str], *, photos: bool) -> None:
        """List the folders of these segments and cameras at once, which is faster than one by one where disks are far."""
        self._presence.read_ahead(segments, cameras, ("texture", "photo") if photos else ("texture",))

    def keep_listings(self, beside: Path | None = None) -> None:
        """Keep large listings for the next program that opens this capture, as :meth:`Listing.save` does."""
        self.listing.save(beside)

    # Content

    @cached_property
    def topology(self) -> Topology:
        """Triangles and uv layout: of the first readable .obj among the tracked meshes, else of one beside the KRT.

        Raises:
            CaptureError: there is no .obj file.
            FormatError: none of the first few can be read; the error is that of the first.
        """
        return read_topology(self.topology_files(), self.path)

    def topology_files(self, at_most: int = 8) -> list[Path]:
        """Files that may hold the topology, the best first."""
        return topology_files(self.layout, self.listing, at_most)

    @cached_property
    def n_vertices(self) -> int:
        """Vertices of every mesh, from the size of vert_mean.bin, else of the first mesh."""
        if self.store is not None and not self.layout.vert_mean.is_file():
            return next((len(self.store.vertices(key)) for key in self.frames if self.has_mesh(key)), 0)
        paths = [self.layout.vert_mean] if self.layout.vert_mean.is_file() else []
        paths += [self.layout.vertices(key) for key in self.frames if self.has_mesh(key)][:1]
        if not paths:
            raise CaptureError("capture has no meshes", where=self.layout.meshes, expected="<segment>/<frame>.bin")
        return count_vertices(paths[0])

    def vertices(self, key: FrameKey) -> np.ndarray:
        """(V, 3) float32 positions of a frame, head space, mm."""
        if self.store is None:
            return read_vertices(self.layout.vertices(key), self.n_vertices)
        vertices = self.store.vertices(key)
        if len(vertices) != self.n_vertices:
            where, expected = self.layout.vertices(key), f"{self.n_vertices} vertices"
            raise FormatError("mesh has the wrong length", where=where, expected=expected, found=len(vertices))
        return vertices

    def head_pose(self, key: FrameKey) -> np.ndarray:
        """(3, 4) float64 head -> world of a frame, mm."""
        if self.store is not None:
            return self.store.head_pose(key)
        return read_head_pose(self.layout.head_pose(key))

    def photo(
        self, key: FrameKey, camera: str, out: np.ndarray | None = None, unfinished: Unfinished | None = None
    ) -> np.ndarray:
        """(H, W, 3) uint8 RGB as in the file; decoded into ``out`` when that has the picture's size.

        ``unfinished``: how far, when that need not be all the way.
        """
        return self._pictures.photo(key, camera, out, unfinished)

    def texture(
        self, key: FrameKey, camera: str, out: np.ndarray | None = None, unfinished: Unfinished | None = None
    ) -> np.ndarray:
        """(T, T, 3) uint8 RGB texture seen by one camera, or the ``"average"`` one; rows as in the file, zero where unseen.

        Decoded into ``out`` when that has the texture's size; ``unfinished``: how far, when that need not be all the way.
        """
        return self._pictures.texture(key, camera, out, unfinished)

    def picture_path(self, path: Path) -> Path:
        """``path`` as the layout gives it, or the picture of the same name in another format when only that is there."""
        return self._pictures.path(path)

    @cached_property
    def statistics(self) -> Statistics:
        """Means and variances that textures and meshes are normalised with.

        Raises:
            CaptureError: a file is missing; says which, and to run ``multiface unwrap``.
        """
        return read_statistics(self.layout)

    def audio(self, segment: str) -> Path | None:
        """The .wav file of a segment, if it has one; :func:`multiface.capture.read_audio` reads it."""
        path = self.layout.audio(segment)
        if path.name not in self.listing.files(path.parent):
            return None
        return path if self.store is None else self.store.side_file(f"audio/{path.name}")

    def projection(self, key: FrameKey, camera: str, size: tuple[int, int] | None = None) -> np.ndarray:
        """(3, 4) float32, head space (mm) -> homogeneous pixels of a picture of ``size`` (H, W); the photo's when absent."""
        return projection_matrix(self.camera(camera), self.head_pose(key), size)

    def view(self, key: FrameKey, camera: str) -> np.ndarray:
        """(3,) float32 unit vector in head space from the head to the camera."""
        self.camera_index(camera)
        return view_direction(self._calibration[camera].center, self.head_pose(key))
