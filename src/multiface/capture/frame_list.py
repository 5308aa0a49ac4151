"""frame_list.txt: segment and frame of every captured moment, one a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multiface.capture.names import FrameKey, is_safe_name
from multiface.capture.text import at_line, quoted, read_lines
from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import write_text

_LIMIT = 256 << 20


def read_frame_list(path: str | Path) -> tuple[FrameKey, ...]:
    """Frames in the order of the file, repeated lines included.

    ``#`` starts a comment; blank lines, any blanks between the two words and a single line are fine.

    Raises:
        CaptureError: there is no such file.
        FormatError: a line has not two words, a word cannot be a file name, or the list is empty.
    """
    frames = []
    for number, line in enumerate(read_lines(path, limit=_LIMIT, kind="frame list"), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not all(map(is_safe_name, words)):
            raise FormatError(
                "line of the frame list cannot be used",
                where=at_line(path, number),
                expected="a segment and a frame, such as: E001_Neutral_Eyes_Open 000102",
                found=quoted(line.strip()),
                remedy="Correct or remove that line",
            )
        frames.append(FrameKey(*words))
    if not frames:
        raise FormatError(
            "frame list holds no frame", where=path, remedy="Copy it again, or remove it: then all tracked meshes are used"
        )
    return tuple(frames)


def write_frame_list(path: str | Path, frames: Iterable[FrameKey]) -> None:
    """Write frames in their order.

    Raises:
        ArgumentError: a name cannot be used.
        StorageError: the file cannot be written.
    """
    keys = [FrameKey(*key) for key in frames]
    for key in keys:
        for name in key:
            if not is_safe_name(name) or "#" in name or name.split() != [name]:
                raise ArgumentError("this name cannot be in a frame list", found=repr(name))
    write_text(path, "".join(f"{key.segment} {key.frame}\n" for key in keys))
