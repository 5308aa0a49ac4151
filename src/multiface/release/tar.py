"""Tar archives read as they stream past: member by member, never held, and refused when they are not plain files."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

from multiface.release.errors import ArchiveError, RefusedArchiveError

BLOCK = 512
MOST_MEMBERS = 250_000
LONGEST_NAME = 4096
_LARGEST_EXTENSION = 64 << 10
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class Member(NamedTuple):
    """A file in an archive: its name as it stands there, where its content begins, and how many bytes it has."""

    name: str
    position: int
    size: int


class Bytes:
    """Chunks as a stream that is read in any portions; ``position`` counts from the beginning of the archive."""

    def __init__(self, chunks: Iterator[bytes], position: int, passed: Callable[[memoryview], None]) -> None:
        self._chunks, self.position, self._passed = chunks, position, passed
        self._rest = memoryview(b"")

    def some(self, limit: int) -> memoryview:
        """Up to ``limit`` bytes, at least one; empty at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return self._rest
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        self.position += len(piece)
        self._passed(piece)
        return piece

    def exactly(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end."""
        piece = self.some(size)
        data = bytes(piece)
        while len(data) < size and piece:
            piece = self.some(size - len(data))
            data += piece
        return data


class TarReader:
    """The files of a tar archive in order.

    Between two members (:meth:`next`) nothing but the position is needed to go on in another process.

    Args:
        stream: The archive from a place where a header begins.
        where: Its address, for messages.
        total: Size of the archive; ``None`` when not known.
        count: Members that were read before ``stream`` began.
    """

    def __init__(self, stream: Bytes, where: str, total: Callable[[], int | None], count: int = 0) -> None:
        self._stream, self._where, self._total, self._count = stream, where, total, count
        self._left = 0
        self._padding = 0

    def next(self) -> Member | None:
        """The next file; ``None`` after the last. What was not read of the one before is passed over.

        Raises:
            ArchiveError: the archive is damaged or ends too early.
            RefusedArchiveError: it holds something that is neither a file nor a folder, or too much.
        """
        for _ in self.content():
            pass
        name, size = None, None
        while True:
            header = self._header()
            if header is None:
                return None
            if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
                content = self._extension(header)
                if header.type == tarfile.GNUTYPE_LONGNAME:
                    name = _text(content.rstrip(b"\0"))
                elif header.type == tarfile.XHDTYPE:
                    name, size = _pax(content, self._where, name)
                continue
            member = Member(header.name if name is None else name, self._stream.position, header.size if size is None else size)
            if header.type == tarfile.DIRTYPE or (header.type in (b"0", b"\0") and member.name.endswith("/")):
                name, size = None, None
                self._count_one(member)
                continue
            self._check(header, member)
            self._left, self._padding = member.size, -member.size % BLOCK
            return member

    def content(self) -> Iterator[memoryview]:
        """The content of the file that :meth:`next` gave, in pieces."""
        while self._left:
            piece = self._stream.some(self._left)
            if not piece:
                raise self._damaged(f"it ends in the middle of a file, after {self._stream.position:,} bytes")
            self._left -= len(piece)
            yield piece
        if self._padding and len(self._stream.exactly(self._padding)) < self._padding:
            raise self._damaged(f"it ends after {self._stream.position:,} bytes")
        self._padding = 0

    def go_on_inside(self, size: int, done: int) -> None:
        """The stream begins ``done`` bytes into the content of a file of ``size`` bytes."""
        self._left, self._padding = size - done, -size % BLOCK

    def finish(self) -> None:
        """Read on to the end of the archive, which must hold nothing more than padding."""
        while self._stream.some(1 << 20):
            pass

    def _header(self) -> tarfile.TarInfo | None:
        start = self._stream.position
        block = self._stream.exactly(BLOCK)
        if start == 0 and block.lstrip()[:1] == b"<":
            raise self._damaged("an HTML page")
        if len(block) < BLOCK:
            raise self._damaged(f"it ends without the mark of its end, after {self._stream.position:,} bytes")
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            raise self._damaged(f"{error} at byte {start:,}") from error

    def _extension(self, header: tarfile.TarInfo) -> bytes:
        """Content of a header that describes the next one."""
        if not 0 <= header.size <= _LARGEST_EXTENSION:
            raise self._refused(header.name, "has a name or description that is too long")
        self._count += 1
        content = self._stream.exactly(header.size + -header.size % BLOCK)[: header.size]
        if len(content) < header.size:
            raise self._damaged(f"it ends after {self._stream.position:,} bytes")
        return content

    def _check(self, header: tarfile.TarInfo, member: Member) -> None:
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE):
            raise self._refused(member.name, f"is {_KINDS.get(header.type, f'of unknown kind {header.type!r}')}, not a file")
        total = self._total()
        if member.size < 0 or (total is not None and member.position + member.size > total):
            raise self._refused(member.name, f"is announced with {member.size:,} bytes, more than the archive has")
        self._count_one(member)

    def _count_one(self, member: Member) -> None:
        self._count += 1
        if self._count > MOST_MEMBERS:
            raise self._refused(member.name, f"is one of more than {MOST_MEMBERS:,} members")

    def _damaged(self, found: str) -> ArchiveError:
        return ArchiveError("is not a whole tar archive", where=self._where, found=found)

    def _refused(self, name: str, why: str) -> RefusedArchiveError:
        return RefusedArchiveError(f"archive refused: member {name[:200]!a} {why}", where=self._where)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _pax(content: bytes, where: str, name: str | None) -> tuple[str | None, int | None]:
    """Path and size in an extended header (POSIX pax): lines of ``"LENGTH KEY=VALUE\\n"``."""
    size, position = None, 0
    while position < len(content):
        digits, _, _ = content[position : position + 12].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = content[position + len(digits) + 1 : position + length]
        key, equals, value = record.partition(b"=")
        if length <= len(digits) + 1 or not record.endswith(b"\n") or not equals:
            raise ArchiveError("is not a whole tar archive", where=where, found="a damaged description of a member")
        if key == b"path":
            name = _text(value[:-1])
        elif key == b"size":
            if not value[:-1].isdigit() or len(value) > 19:
                raise RefusedArchiveError("archive refused: a member has an impossible size", where=where)
            size = int(value)
        elif key.startswith(b"GNU.sparse"):
            raise RefusedArchiveError(f"archive refused: member {(name or '')!a} is a sparse file", where=where)
        position += length
    return name, size
