"""The bytes of one file on the server in order, over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from multiface.release.errors import ChangedError
from multiface.release.network import BadAnswer, Opened, Server


class FileStream:
    """A file read from ``start``; when the connection breaks it goes on at the very next byte.

    Args:
        server: Where it is.
        path: Its address below the base address.
        start: First byte wanted.
        end: Where to stop, exclusive; ``None`` for the end of the file.
        total: Size of the whole file as far as known from before.
        etag: Version of the file as far as known from before.
        received: Called with the number of bytes whenever some arrived.

    Attributes:
        total: Size of the whole file, known after the first byte at the latest, unless the server never says.
        etag: Version of the file, likewise.
        reconnections: How often a connection broke.
    """

    def __init__(
        self,
        server: Server,
        path: str,
        *,
        start: int = 0,
        end: int | None = None,
        total: int | None = None,
        etag: str = "",
        received: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.total, self.etag, self.reconnections = total, etag, 0
        self._server, self._path, self._position, self._end, self._received = server, path, start, end, received
        self._size_is_known = total is not None

    @property
    def url(self) -> str:
        return self._server.url(self._path)

    def chunks(self) -> Iterator[bytes]:
        """The bytes.

        Raises:
            TransferError: given up after many attempts.
            ChangedError: the file on the server is no longer the one that was begun.
            Stopped: the user interrupted.
        """
        attempts = self._server.attempts(self.url)
        while not self._complete():
            try:
                with self._server.opened(self._path, self._position, self._end, self.etag) as answer:
                    self._check(answer)
                    for chunk in self._from_position(answer):
                        attempts.progressed()
                        yield chunk
                if self._complete() or self._until() is None:
                    return
                raise BadAnswer(f"the answer ended at byte {self._position:,} of {self._until():,}")
            except Exception as error:  # noqa: BLE001 - what is no error of the network is raised again
                self._server.check_transient_or_raise(error, self._path)
                self.reconnections += 1
                attempts.failed(error)

    def _until(self) -> int | None:
        return self.total if self._end is None else self._end

    def _complete(self) -> bool:
        until = self._until()
        return until is not None and self._position >= until

    def _check(self, answer: Opened) -> None:
        other = self.etag and answer.etag and answer.etag != self.etag
        if self._size_is_known and (other or answer.total not in (None, self.total)):
            raise ChangedError(
                "the file on the server has changed since the transfer began",
                where=self.url,
                expected=f"{self.total} bytes {self.etag}",
                found=f"{answer.total} bytes {answer.etag}",
            )
        if answer.start > self._position:
            raise BadAnswer(f"the answer begins at byte {answer.start:,} instead of {self._position:,}")
        if answer.total is not None:
            self.total, self.etag, self._size_is_known = answer.total, answer.etag, True

    def _from_position(self, answer: Opened) -> Iterator[bytes]:
        position = answer.start  # earlier than asked for when the server ignores ranges
        for chunk in answer.chunks:
            self._received(len(chunk))
            useful = chunk[max(self._position - position, 0) :]
            position += len(chunk)
            until = self._until()
            if until is not None:
                useful = useful[: until - self._position]
            if useful:
                self._position += len(useful)
                yield useful
            if self._complete():
                return
