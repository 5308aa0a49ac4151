"""Reading parts of the files of a store, from disk or over HTTP."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

from multiface.capture.scratch import scratch
from multiface.core.errors import FormatError
from multiface.core.lazy import optional_import

_OPEN_FILES = 256


class ShardFiles(Protocol):
    """Where shards are."""

    def read(self, file: str, offset: int, length: int) -> bytearray | memoryview | bytes:
        """Exactly these bytes, which hold until this thread's next call, also for another store.

        Raises:
            FormatError: the file is missing or shorter.
        """
        ...

    def read_into(self, file: str, offset: int, target: memoryview) -> None:
        """As many bytes as ``target`` holds, in it."""
        ...

    def where(self, file: str) -> str:
        """The file's path or address, for people."""
        ...


class LocalShards:
    """Shards in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, int] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def __reduce__(self):
        return LocalShards, (self._root,)

    def __del__(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def where(self, file: str) -> str:
        return str(self._root / file)

    def read(self, file: str, offset: int, length: int) -> memoryview:
        target = scratch("shard", length).data
        self.read_into(file, offset, target)
        return target

    def read_into(self, file: str, offset: int, target: memoryview) -> None:
        length = len(target)
        descriptor = self._descriptor(file)
        try:
            done = _read_at(descriptor, target, offset)
        except OSError as error:
            raise FormatError(f"shard cannot be read: {error.strerror}", where=self.where(file)) from error
        if done < length:
            raise FormatError(
                "shard is cut short",
                where=self.where(file),
                expected=f"at least {offset + length:,} bytes",
                found=f"{os.fstat(descriptor).st_size:,}",
                remedy="Copy the store again, or pack it again",
            )

    def _descriptor(self, file: str) -> int:
        descriptor = self._open.get(file)
        if descriptor is not None:
            return descriptor
        with self._lock:
            if file not in self._open:
                if len(self._open) >= _OPEN_FILES:
                    return self._another(file)
                self._open[file] = self._opened(file)
            return self._open[file]

    def _another(self, file: str) -> int:
        """Of more shards than may be open, this thread keeps one."""
        name, old = getattr(self._local, "extra", (None, None))
        if name == file and old is not None:
            return old.descriptor
        self._local.extra = (file, extra := _Owned(self._opened(file)))
        return extra.descriptor

    def _opened(self, file: str) -> int:
        try:
            return os.open(self._root / file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise FormatError(
                f"shard cannot be opened: {error.strerror}", where=self.where(file), remedy="Copy the store again"
            ) from error


class _Owned:
    """A descriptor that is closed when nobody has it any longer."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


_seek_lock = threading.Lock()


def _read_at(descriptor: int, target: memoryview, offset: int) -> int:
    done = 0
    while done < len(target):
        if hasattr(os, "preadv"):
            count = os.preadv(descriptor, [target[done:]], offset + done)
        else:  # Windows
            with _seek_lock:
                os.lseek(descriptor, offset + done, os.SEEK_SET)
                data = os.read(descriptor, len(target) - done)
            count = len(data)
            target[done : done + count] = data
        if count == 0:
            break
        done += count
    return done


class HttpShards:
    """Files of a store behind a web address, read by range requests. Connections are kept and shared by threads."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._httpx = optional_import("httpx", purpose="Reading a store over HTTP", install="httpx>=0.27")
        limits = self._httpx.Limits(max_connections=64, max_keepalive_connections=64)
        self._client = self._httpx.Client(timeout=timeout, limits=limits, follow_redirects=True, max_redirects=3)

    def __reduce__(self):
        return HttpShards, (self.url, self._timeout)

    def __del__(self) -> None:
        client = getattr(self, "_client", None)
        if client is not None:
            client.close()

    def where(self, file: str) -> str:
        return f"{self.url}/{file}"

    def read(self, file: str, offset: int, length: int) -> bytearray:
        if length == 0:
            return bytearray()
        return self._get(file, length, {"Range": f"bytes={offset}-{offset + length - 1}"}, 206)

    def read_into(self, file: str, offset: int, target: memoryview) -> None:
        target[:] = self.read(file, offset, len(target))

    def read_file(self, file: str, limit: int) -> bytearray:
        """A whole file of at most ``limit`` bytes."""
        return self._get(file, limit, {}, 200, exact=False)

    def _get(self, file: str, limit: int, headers: dict[str, str], status: int, exact: bool = True) -> bytearray:
        failure: Exception | None = None
        for _ in range(3):  # a server that was busy, or a connection that was closed
            try:
                return self._attempt(file, limit, {**headers, "Accept-Encoding": "identity"}, status, exact)
            except self._httpx.TransportError as error:
                failure = error
        raise FormatError(
            f"the server does not answer: {failure or 'no reason given'}",
            where=self.where(file),
            remedy="Try again later; what was packed or trained so far is kept",
        ) from failure

    def _attempt(self, file: str, limit: int, headers: dict[str, str], status: int, exact: bool) -> bytearray:
        data = bytearray()
        with self._client.stream("GET", self.where(file), headers=headers) as answer:
            if answer.status_code != status:
                raise FormatError(
                    "the server does not give this part of the file",
                    where=self.where(file),
                    expected=f"HTTP status {status}" + (" (range requests)" if status == 206 else ""),
                    found=answer.status_code,
                    remedy="Check the address; the server has to support range requests",
                )
            for part in answer.iter_raw():
                data += part
                if len(data) > limit:
                    raise FormatError("the server sends more than was asked for", where=self.where(file), expected=limit)
        if exact and len(data) != limit:
            raise FormatError("shard is cut short", where=self.where(file), expected=f"{limit:,} bytes", found=len(data))
        return data
