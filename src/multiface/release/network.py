"""Talking to the server: addresses, attempts, ranges."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from multiface.core.errors import ArgumentError
from multiface.core.lazy import optional_import
from multiface.release.errors import ChangedError, MissingFileError, Stopped, TransferError

if TYPE_CHECKING:
    import httpx

PUBLIC = "https://fb-baas-f32eacb9-8abb-11eb-b2b8-4857dd089e15.s3.amazonaws.com/MugsyDataRelease"
IDENTITIES = "/v0.0/identities"
BASE_URL_VARIABLE = "MULTIFACE_BASE_URL"
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524}
_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Network:
    """How to fetch.

    Attributes:
        base_url: Address below which ``<entity>/<file>`` are.
        connections: Archives fetched at the same time.
        timeout: Seconds without a byte after which a connection counts as broken.
        retries: Attempts in a row that may fail without one new byte before a file is given up.
        wait: Seconds before the second attempt; doubled for each further one, up to a minute.
    """

    base_url: str = PUBLIC + IDENTITIES
    connections: int = 8
    timeout: float = 30.0
    retries: int = 8
    wait: float = 1.0

    def __post_init__(self) -> None:
        if not _is_address(self.base_url):
            raise ArgumentError("this is no base address", where="--base-url", expected="http(s)://...", found=self.base_url)
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
        for name, least, most in (("connections", 1, 64), ("timeout", 0.01, 3600), ("retries", 0, 1000), ("wait", 0, 600)):
            if not least <= getattr(self, name) <= most:
                raise ArgumentError(f"{name} cannot be used", expected=f"{least}..{most}", found=getattr(self, name))


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text and not parts.query and not parts.fragment
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def base_url(option: str | None = None) -> str:
    """The base address: the option, else the environment variable, else the public server."""
    return option or os.environ.get(BASE_URL_VARIABLE) or PUBLIC + IDENTITIES


@dataclass(frozen=True)
class Opened:
    """An answer that is being read.

    Attributes:
        start: Position in the file of its first byte.
        total: Size of the whole file; ``None`` when the server does not say.
        etag: What tells this version of the file from others; ``""`` when the server does not say.
        kind: Content type.
        chunks: The bytes, as they come.
    """

    start: int
    total: int | None
    etag: str
    kind: str
    chunks: Iterator[bytes]


class Attempts:
    """Counts failures in a row, waits longer after each, and gives up in the end."""

    def __init__(self, network: Network, stop: threading.Event, what: str) -> None:
        self._network, self._stop, self._what = network, stop, what
        self._failures = 0
        self.total = 0

    def progressed(self) -> None:
        """Something arrived: the next failure is the first again."""
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """Wait before the next attempt.

        Raises:
            TransferError: this was the last.
            Stopped: the user interrupted.
        """
        self._failures += 1
        self.total += 1
        if self._failures > self._network.retries:
            raise TransferError(
                "cannot be fetched",
                where=self._what,
                found=f"{describe(error)}, {self._failures} times in a row",
                remedy="Run the same command again later; it goes on from where it is",
            ) from error
        delay = min(self._network.wait * 2 ** (self._failures - 1), _LONGEST_WAIT) * random.uniform(0.75, 1.25)
        if self._stop.wait(max(delay, _asked_to_wait(error))):
            raise Stopped from error


class Server:
    """One server and the connections to it. Used by several threads."""

    def __init__(self, network: Network, stop: threading.Event | None = None) -> None:
        self.network = network
        self.stop = threading.Event() if stop is None else stop
        self._httpx: Any = optional_import("httpx", purpose="downloading", install="httpx>=0.27")
        limits = self._httpx.Limits(max_connections=network.connections + 4, max_keepalive_connections=network.connections)
        self._client = self._httpx.Client(
            timeout=self._httpx.Timeout(network.timeout),
            limits=limits,
            follow_redirects=True,
            max_redirects=5,
            headers={"Accept-Encoding": "identity", "User-Agent": "multiface"},
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def attempts(self, what: str) -> Attempts:
        return Attempts(self.network, self.stop, what)

    def check_transient_or_raise(self, error: Exception, path: str) -> None:
        """Raise ``error`` itself when it does not come from the network, else as :meth:`check_transient`."""
        if not isinstance(error, (self._httpx.HTTPError, BadAnswer)):
            raise error
        self.check_transient(error, path)

    def is_transient(self, error: Exception) -> bool:
        """Whether trying again may help."""
        status = _status(error)
        return status in _TRY_AGAIN if status is not None else isinstance(error, (self._httpx.TransportError, BadAnswer))

    def url(self, path: str) -> str:
        return path if path.startswith(("http://", "https://")) else f"{self.network.base_url}/{path}"

    def size(self, path: str) -> tuple[int | None, str]:
        """(size, etag) of a file, by a HEAD request."""

        def ask() -> tuple[int | None, str]:
            answer = self._client.head(self.url(path))
            answer.raise_for_status()
            return _length(answer.headers.get("content-length")), _version(answer)

        return self._try(ask, path)

    def small_file(self, path: str, limit: int) -> bytes:
        """The whole content of a file of at most ``limit`` bytes.

        Raises:
            TransferError: it cannot be fetched, or is larger.
        """

        def fetch() -> bytes:
            with self.opened(path) as answer:
                data = bytearray()
                for chunk in answer.chunks:
                    data += chunk
                    if len(data) > limit:
                        raise TransferError("is too large", where=self.url(path), expected=f"at most {limit:,} bytes")
                return bytes(data)

        return self._try(fetch, path)

    def _try(self, action, path: str):
        attempts = self.attempts(self.url(path))
        while True:
            try:
                return action()
            except (self._httpx.HTTPError, BadAnswer) as error:
                self.check_transient(error, path)
                attempts.failed(error)

    def check_transient(self, error: Exception, path: str) -> None:
        """Raise what the user is told if trying again cannot help.

        Raises:
            MissingFileError: the server refuses.
        """
        if self.is_transient(error):
            return
        status = _status(error)
        if status is not None:
            what = "is not on the server" if status in (404, 410) else "is refused by the server"
            raise MissingFileError(what, where=self.url(path), found=f"HTTP status {status}") from error
        raise TransferError("cannot be fetched", where=self.url(path), found=describe(error)) from error

    @contextmanager
    def opened(self, path: str, start: int = 0, end: int | None = None, etag: str = "") -> Iterator[Opened]:
        """Open a file at ``start`` (up to ``end``, exclusive), if it is still the version ``etag``.

        The answer may begin earlier than asked when the server ignores ranges; the caller skips.

        Raises:
            httpx.HTTPError: no connection, a status that is no success.
            BadAnswer: the range is not the one asked for.
            ChangedError: the file is shorter than it was said to be.
        """
        headers = {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-" + ("" if end is None else str(end - 1))
            if etag:
                headers["If-Range"] = etag
        with self._client.stream("GET", self.url(path), headers=headers) as answer:
            if answer.status_code == 416:
                raise ChangedError("the file ends before the place where it was to go on", where=self.url(path))
            answer.raise_for_status()
            first, total = _range(answer)
            yield Opened(first, total, _version(answer), answer.headers.get("content-type", ""), self._chunks(answer))

    def _chunks(self, answer: httpx.Response) -> Iterator[bytes]:
        for chunk in answer.iter_raw():
            if self.stop.is_set():
                raise Stopped
            yield chunk


class BadAnswer(Exception):
    """The server answered, but not what was asked."""


def describe(error: Exception) -> str:
    """One line about an error of the network."""
    status = _status(error)
    if status is not None:
        return f"HTTP status {status}"
    text = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {text[0]}" if text else name


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _asked_to_wait(error: Exception) -> float:
    response = getattr(error, "response", None)
    text = response.headers.get("retry-after", "") if response is not None else ""
    return min(float(text), _LONGEST_WAIT) if text.isascii() and text.isdigit() else 0.0


def _length(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _version(answer: httpx.Response) -> str:
    etag = answer.headers.get("etag", "")
    return etag if etag and not etag.startswith("W/") and len(etag) < 200 else ""


def _range(answer: httpx.Response) -> tuple[int, int | None]:
    """(position of the first byte, size of the whole file)."""
    if answer.status_code != 206:
        return 0, _length(answer.headers.get("content-length"))
    unit, _, rest = answer.headers.get("content-range", "").partition(" ")
    span, _, total = rest.partition("/")
    first = _length(span.partition("-")[0])
    if unit != "bytes" or first is None:
        raise BadAnswer(f"a range without telling which: {answer.headers.get('content-range', '')[:60]!r}")
    return first, _length(total)
