"""A static HTTP server on loopback with ranges, that fails on purpose where a test says so."""

from __future__ import annotations

import re
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Asked:
    """One request: method, path, first byte asked for, and bytes of the body that were sent."""

    method: str
    path: str
    start: int
    end: int | None
    sent: int = 0


@dataclass
class ReleaseServer:
    """A folder served at ``url``.

    Attributes:
        folder: What is served.
        url: Address.
        log: Every request.
        faults: Path -> what the next requests of it get; ``None`` for a normal answer.
        always: Path pattern -> what every request of it gets.
        slice_bytes: Bodies are sent in slices of this size.
        send_buffer: Bytes that the system may hold for a connection before the client takes them; None for its default.
        before_slice: Called with the path and the position before each slice is sent.
    """

    folder: Path
    url: str = ""
    log: list[Asked] = field(default_factory=list)
    faults: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, Any] = field(default_factory=dict)
    slice_bytes: int = 1 << 16
    send_buffer: int | None = None
    before_slice: Callable[[str, int], None] = lambda path, position: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fetched(self, path: str) -> int:
        """Bytes of the bodies sent for a path."""
        return sum(asked.sent for asked in self.log if asked.path == path and asked.method == "GET")

    def asked(self, path: str) -> list[Asked]:
        return [asked for asked in self.log if asked.path == path and asked.method == "GET"]

    def fault(self, path: str) -> Any:
        with self.lock:
            if self.faults[path]:
                return self.faults[path].popleft()
        return next((fault for pattern, fault in self.always.items() if re.search(pattern, path)), None)


# Faults: what an answer does instead of the right thing.


@dataclass
class Status:
    """Another status, with a page."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Cut:
    """The connection breaks after so many bytes of the body."""

    after: int


@dataclass
class Page:
    """A page of HTML with status 200."""

    text: str = "<html><body>Please sign in</body></html>"


@dataclass
class WrongLength:
    """Content-Length is off by so much."""

    by: int


@dataclass
class Flip:
    """One byte of the file is another one."""

    at: int


@dataclass
class IgnoreRange:
    """The whole file with status 200 whatever range was asked for."""

    cut: int | None = None


@dataclass
class WrongRange:
    """A range that begins elsewhere than the one that was asked for."""

    off: int = 512


@contextmanager
def serve(folder: Path) -> Iterator[ReleaseServer]:
    """Serve ``folder`` on loopback until the block ends."""
    state = ReleaseServer(folder)

    class Handler(_Handler):
        release = state

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that are killed on purpose are no news."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    release: ReleaseServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        if self.release.send_buffer is not None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.release.send_buffer)

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_GET(self) -> None:
        self._answer("GET")

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, method: str) -> None:
        path = self.path.lstrip("/")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        end = int(match[2]) + 1 if match and match[2] else None
        asked = Asked(method, path, start, end)
        with self.release.lock:
            self.release.log.append(asked)
        fault = self.release.fault(path)
        if isinstance(fault, Status):
            return self._page(fault.code, "<html>error</html>", fault.headers)
        if isinstance(fault, Page):
            return self._page(200, fault.text)
        file = self.release.folder / path
        if not file.is_file():
            return self._page(404, "<html>not found</html>")
        return self._file(file, asked, fault, bool(match))

    def _page(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _file(self, file: Path, asked: Asked, fault: Any, ranged: bool) -> None:
        data = bytearray(file.read_bytes()) if file.stat().st_size < 50_000_000 else None
        size = file.stat().st_size
        etag = f'"{file.stat().st_mtime_ns:x}-{size:x}"'
        start, end = asked.start, size if asked.end is None else min(asked.end, size)
        if self.headers.get("If-Range", etag) != etag or isinstance(fault, IgnoreRange):
            ranged = False
        if not ranged:
            start, end = 0, size
        elif start >= size:
            self._page(416, "", {"Content-Range": f"bytes */{size}"})
            return
        if isinstance(fault, WrongRange) and ranged:
            start += fault.off
        if isinstance(fault, Flip) and data is not None:
            data[fault.at] ^= 0x55
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Type", "application/x-tar")
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(end - start + (fault.by if isinstance(fault, WrongLength) else 0)))
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        stop = end
        if isinstance(fault, Cut):
            stop = min(end, start + fault.after)
        elif isinstance(fault, IgnoreRange) and fault.cut is not None:
            stop = min(end, fault.cut)
        elif isinstance(fault, WrongLength) and fault.by < 0:
            stop = end + fault.by
        self._body(file, data, start, stop, asked)
        if stop != end or isinstance(fault, WrongLength):
            self.close_connection = True

    def _body(self, file: Path, data: bytearray | None, start: int, stop: int, asked: Asked) -> None:
        with file.open("rb") as source:
            for position in range(start, stop, self.release.slice_bytes):
                count = min(self.release.slice_bytes, stop - position)
                self.release.before_slice(asked.path, position)
                if data is not None:
                    piece = bytes(data[position : position + count])
                else:
                    source.seek(position)
                    piece = source.read(count)
                try:
                    self.wfile.write(piece)
                except OSError:  # the client went away
                    self.close_connection = True
                    return
                asked.sent += count
