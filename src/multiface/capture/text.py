"""Files from outside, read with their size checked first, and numbers in text with the line that is wrong."""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path

from multiface.capture.scratch import scratch
from multiface.core.errors import CaptureError, FormatError

_LINE_END = re.compile(r"\r\n|\n|\r")


def read_bytes(path: str | Path, *, limit: int, kind: str) -> bytes:
    """The whole content of a regular file of at most ``limit`` bytes.

    Raises:
        CaptureError: the file does not exist or cannot be opened.
        FormatError: it is no regular file, or larger than ``limit``; nothing has been read then.
    """
    size = file_size(path, limit=limit, kind=kind)
    try:
        with Path(path).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, kind, error) from error
    if len(data) > limit:  # it has grown since
        raise _too_large(path, kind, limit, max(size, len(data)))
    return data


def read_scratch(path: str | Path, *, limit: int, kind: str) -> memoryview:
    """As :func:`read_bytes`, in memory of this thread that its next call uses again.

    Raises:
        CaptureError, FormatError: as there.
    """
    size = file_size(path, limit=limit, kind=kind)
    memory = scratch("file", size + 1).data  # one more byte shows whether it grows
    filled = 0
    try:
        with Path(path).open("rb", buffering=0) as file:
            while filled <= size and (count := file.readinto(memory[filled:])):
                filled += count
    except OSError as error:
        raise _unreadable(path, kind, error) from error
    if filled > size:
        raise FormatError(f"{kind} grows while it is read", where=path, expected=f"{size:,} bytes", found="more")
    return memory[:filled]


def file_size(path: str | Path, *, limit: int, kind: str) -> int:
    """Bytes in a regular file, checked like :func:`read_bytes` checks them."""
    try:
        info = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, kind, error) from error
    except ValueError as error:
        raise CaptureError(f"{kind} cannot be read: {error}", where=path) from error
    if not stat.S_ISREG(info.st_mode):
        raise FormatError(f"{kind} is not a file", where=path, expected="a regular file")
    if info.st_size > limit:
        raise _too_large(path, kind, limit, info.st_size)
    return info.st_size


def read_lines(path: str | Path, *, limit: int, kind: str) -> list[str]:
    """Lines of a UTF-8 text file, ended by LF, CRLF or CR, with or without a byte order mark; no empty last line."""
    data = read_bytes(path, limit=limit, kind=kind)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FormatError(
            f"{kind} is not text",
            where=at_line(path, line),
            expected="UTF-8",
            found=f"byte 0x{data[error.start]:02x}",
            remedy="Save it as UTF-8 text",
        ) from error
    lines = _LINE_END.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def parse_numbers(text: str, *, count: int | None, where: str, meaning: str) -> list[float]:
    """The finite numbers of one line, separated by any blanks.

    Args:
        text: The line.
        count: How many there must be; ``None`` for any number.
        where: File and line, for the error.
        meaning: What the line is, for the error, for example ``"row 2 of K of camera 400002"``.

    Raises:
        FormatError: a word is no number, is NaN or infinite, or there are too few or too many.
    """
    words = text.split()
    if count is not None and len(words) != count:
        raise FormatError(
            f"{meaning} is incomplete" if len(words) < count else f"{meaning} has too many values",
            where=where,
            expected=f"{count} number{'s' if count != 1 else ''}",
            found=quoted(text) if text.strip() else "an empty line",
            remedy="Copy the file again from its source or correct that line",
        )
    return [_number(word, where, meaning) for word in words]


def _number(word: str, where: str, meaning: str) -> float:
    try:
        value = float("nan" if "_" in word else word)  # Python reads 1_000; no other program does
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(
            f"{meaning} holds something that is not a finite number",
            where=where,
            expected="a decimal number",
            found=quoted(word),
            remedy="Correct that line",
        )
    return value


def number_text(value: float) -> str:
    """The shortest text that reads back as the same float64."""
    return repr(float(value)).removesuffix(".0")


def at_line(path: str | Path, line: int) -> str:
    """``"FILE, line N"``."""
    return f"{path}, line {line}"


def quoted(text: str, limit: int = 60) -> str:
    """``text`` in quotes, control characters escaped, cut to ``limit``."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


def _too_large(path: str | Path, kind: str, limit: int, size: int) -> FormatError:
    return FormatError(
        f"{kind} is too large to be one",
        where=path,
        expected=f"at most {limit:,} bytes",
        found=f"{size:,} bytes",
        remedy="Check that this is the right file",
    )


def _unreadable(path: str | Path, kind: str, error: OSError) -> CaptureError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return CaptureError(f"{kind} is missing", where=path)
    return CaptureError(f"{kind} cannot be read: {error.strerror or error}", where=path)
