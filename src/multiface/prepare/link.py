"""A capture in another folder, made of links: results can be added to a capture that must not be written to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from multiface.core.errors import CaptureError, StorageError
from multiface.core.files import make_folder, storage_errors

_PARTS = ("KRT", "frame_list.txt", "images", "tracked_mesh", "audio")


def link_capture(source: str | Path, out: str | Path, *, copy: bool = False) -> None:
    """Make ``out`` a capture with the calibration, frame list, photos, meshes and audio of ``source``.

    Textures and statistics are not taken over. What is in ``out`` already stays, if it is the same.

    Args:
        source: Capture folder; only read.
        out: Folder, made if need be.
        copy: Copy the files instead of linking to them.

    Raises:
        CaptureError: ``source`` has no KRT, or ``out`` already holds parts of another capture.
        StorageError: ``out`` cannot be written to, or the system allows no links.
    """
    source, out = Path(source), Path(out)
    if not (source / "KRT").is_file():
        raise CaptureError("there is no capture here: no KRT file", where=source)
    make_folder(out)
    if source.resolve() == out.resolve():
        return
    names = [name for name in _PARTS if (source / name).exists()] + sorted(path.name for path in source.glob("*.obj"))
    for name in names:
        (_copy if copy else _link)(source / name, out / name)


def _link(source: Path, target: Path) -> None:
    if target.is_symlink() or target.exists():
        if target.resolve() == source.resolve() or _is_copy(source, target):
            return
        raise CaptureError(
            "this is not of the capture to be unwrapped",
            where=target,
            expected=f"a link to {source}",
            found=f"a link to {target.resolve()}" if target.is_symlink() else "a file or folder",
            remedy="Choose an empty folder",
        )
    try:
        target.symlink_to(os.path.abspath(source), target_is_directory=source.is_dir())  # noqa: PTH100 - links stay as named
    except (NotImplementedError, OSError) as error:
        raise StorageError(f"no link can be made here: {error}", where=target, remedy="Use --copy") from error


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        if _is_copy(source, target):
            return
        raise CaptureError("this is not of the capture to be unwrapped", where=target, remedy="Choose an empty folder")
    partial = target.with_name(f".{target.name}.partial")
    with storage_errors(target):
        if source.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(source, partial)
        else:
            shutil.copyfile(source, partial)
        partial.replace(target)


def _is_copy(source: Path, target: Path) -> bool:
    """Whether ``target`` holds the same: files by content, folders by the names in them."""
    if source.is_dir() or target.is_dir():
        return target.is_dir() and source.is_dir() and _names(source) == _names(target)
    return target.is_file() and source.read_bytes() == target.read_bytes()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
