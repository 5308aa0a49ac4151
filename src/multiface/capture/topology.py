"""Where a capture has its triangles and uv layout: in the .obj files of its meshes, or in one beside the KRT."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from multiface.capture.layout import CaptureLayout
from multiface.capture.listing import Listing
from multiface.capture.obj import read_obj
from multiface.capture.store.store import StoreListing
from multiface.core.errors import CaptureError, FormatError
from multiface.geometry import Topology


def topology_files(layout: CaptureLayout, listing: Listing | StoreListing, at_most: int) -> list[Path]:
    """Files that may hold the topology, the best first: so many of the meshes', then so many beside the KRT."""
    folders = [layout.meshes / segment for segment in listing.folders(layout.meshes)]
    found = list(islice((path for folder in folders for path in _obj_files(folder, listing)), at_most))
    return found if len(found) == at_most else found + _obj_files(layout.root, listing)[:at_most]


def read_topology(files: Iterable[Path], root: Path) -> Topology:
    """The topology of the first of ``files`` that can be read; ``root`` is the capture, for reports.

    Raises:
        CaptureError: there are no files.
        FormatError: none can be read; the error is that of the first.
    """
    failure: FormatError | None = None
    for path in files:
        try:
            return read_obj(path).topology
        except FormatError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    raise CaptureError(
        "capture has no topology",
        where=root,
        expected="an .obj file with texture coordinates in tracked_mesh/<segment>/",
        remedy="Put the .obj of any frame there, or face_topology.obj beside the KRT",
    )


def _obj_files(folder: Path, listing: Listing | StoreListing) -> list[Path]:
    names = [name for name in listing.files(folder) if name.endswith(".obj")]
    return [folder / name for name in sorted(names, key=lambda name: (name != "face_topology.obj", name))]
