"""Our own checkpoint file: safetensors with one JSON text in its metadata, so nothing in it can be run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from multiface.core.errors import CheckpointError
from multiface.core.files import atomic_path

METADATA_KEY = "multiface"
LARGEST_HEADER = 16 << 20
_DTYPES = {  # in the order in which safetensors puts them into a file
    torch.int64: "I64", torch.float64: "F64", torch.float32: "F32", torch.int32: "I32", torch.bfloat16: "BF16",
    torch.float16: "F16", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


@dataclass(frozen=True)
class TensorFile:
    """What the header of a file says, and the way to its tensors.

    Attributes:
        path: The file.
        metadata: The JSON object in its metadata, or None when there is none of ours.
        shapes: Name -> shape, as declared and checked against the length of the file.
        dtypes: Name -> type as safetensors spells it, such as ``"F32"``.
    """

    path: Path
    metadata: dict[str, Any] | None
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]

    def read(self, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
        """The tensors whose name ``wanted`` accepts, on the CPU."""
        with _open(self.path) as file:
            return {key: file.get_tensor(key) for key in self.shapes if wanted(key)}


def write_tensor_file(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write ``tensors`` and ``metadata`` (plain JSON values) atomically; the same content gives the same bytes.

    The bytes are those of safetensors' own writer, but they go to the file piece by piece, without a second copy in memory
    and without holding up other threads: a training goes on while its checkpoint is being written.

    Raises:
        TypeError: ``metadata`` holds something that JSON cannot.
        StorageError: the file cannot be written.
    """
    # One metadata entry only: safetensors does not keep the order of several.
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    order = sorted(tensors, key=lambda name: (list(_DTYPES).index(tensors[name].dtype), name))
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: text}}
    end = 0
    for name in order:
        start, end = end, end + tensors[name].numel() * tensors[name].element_size()
        kind = _DTYPES[tensors[name].dtype]
        header[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name in order:
            flat = tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            file.write(flat.numpy().data)


def looks_like_tensor_file(start: bytes) -> bool:
    """Whether the first nine bytes are those of a safetensors file: a length, then the brace that opens its header."""
    return len(start) >= 9 and start[8:9] == b"{"


def open_tensor_file(path: Path) -> TensorFile:
    """Read the header of the file at ``path``; nothing is allocated for the tensors.

    Raises:
        CheckpointError: truncated, damaged, or a header of absurd length.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > LARGEST_HEADER:
        raise CheckpointError("declares too long a header", where=path, expected=f"up to {LARGEST_HEADER} bytes", found=header)
    if header > size - 8:
        raise CheckpointError(
            "is truncated", where=path, expected=f"{header} bytes of header", found=size - 8, remedy="Get the file again"
        )
    with _open(path) as file:
        metadata = (file.metadata() or {}).get(METADATA_KEY)
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 -- the handle is no mapping
        shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
        dtypes = {key: str(part.get_dtype()) for key, part in slices.items()}
    return TensorFile(path, None if metadata is None else _parse(metadata, path), shapes, dtypes)


class _open:
    """``safe_open`` whose complaints are ours."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        try:
            self.file = safe_open(str(self.path), framework="pt", device="cpu")
            return self.file.__enter__()
        except SafetensorError as error:
            raise self._complaint(error) from error

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self.file.__exit__(kind, error, traceback)
        if isinstance(error, SafetensorError):
            raise self._complaint(error) from error

    def _complaint(self, error: SafetensorError) -> CheckpointError:
        return CheckpointError(
            "is truncated or damaged",
            where=self.path,
            expected="a whole safetensors file",
            found=ascii(str(error)[:200])[1:-1],
            remedy="Get the file again, or take an earlier checkpoint",
        )


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError("has unreadable metadata", where=path, expected="JSON", found=str(error)[:200]) from error
    if not isinstance(metadata, dict):
        raise CheckpointError("has unreadable metadata", where=path, expected="an object", found=type(metadata).__name__)
    return metadata
