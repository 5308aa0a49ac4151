"""Reading tensors from files written by torch.save, without ever running what is in them."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multiface.core.errors import CheckpointError

ZIP_SIGNATURE = b"PK\x03\x04"
PICKLE_SIGNATURE = b"\x80"
LARGEST_PICKLE = 64 << 20
LARGEST_ENTRY_COUNT = 100_000


def read_pickled_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file written by ``torch.save(state_dict)``, on the CPU; weights only, code in it is never run.

    Raises:
        CheckpointError: damaged, not such a file, something else than tensors in it, or tensors that claim to be larger
            than the file.
    """
    with path.open("rb") as file:
        if file.read(len(ZIP_SIGNATURE)) == ZIP_SIGNATURE:
            _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old or odd pickles: either they can be read or they are refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle can fail in any way; none of them may become a traceback
        raise CheckpointError(
            "cannot be read as weights",
            where=path,
            expected="tensors alone, as torch.save(model.state_dict()) writes them",
            found=_first_line(error),
            remedy="The file is damaged, or holds more than weights; nothing in it was run",
        ) from error
    return _tensors(content, path)


def _check_archive(path: Path) -> None:
    """Refuse archives that would unpack to more than the file's own size."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise CheckpointError("is damaged", where=path, found=_first_line(error), remedy="Get the file again") from error
    if len(entries) > LARGEST_ENTRY_COUNT:
        raise CheckpointError("holds too many parts", where=path, expected=f"up to {LARGEST_ENTRY_COUNT}", found=len(entries))
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise CheckpointError(
            "unpacks to more than it holds", where=path, expected="an uncompressed archive, as torch.save writes it"
        )
    for entry in entries:
        if entry.filename.endswith("/data.pkl") and entry.file_size > LARGEST_PICKLE:
            raise CheckpointError("has too large an index", where=path, expected=f"up to {LARGEST_PICKLE} bytes")


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not content:
        found = "an empty one" if isinstance(content, dict) else f"a {type(content).__name__}"
        raise CheckpointError("is not a checkpoint", where=path, expected="a mapping of names to tensors", found=found)
    total = 0
    for key, value in content.items():
        problem = _problem(key, value)
        if problem:
            raise CheckpointError(
                f"{str(key)[:80]!a} is not a plain tensor", where=path, expected="names with tensors", found=problem
            )
        total += value.numel() * value.element_size()
    if total > path.stat().st_size:  # views that repeat a few bytes millions of times
        raise CheckpointError(
            "declares more data than it holds", where=path, expected=f"up to {path.stat().st_size} bytes", found=total
        )
    return content


def _problem(key: Any, value: Any) -> str | None:
    if not isinstance(key, str):
        return f"a key of type {type(key).__name__}"
    if not isinstance(value, Tensor):
        return type(value).__name__
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return f"a {value.layout} tensor on {value.device}"
    return None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return ascii(f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__)[1:-1]
