"""A minimal HTTP/1.1 client for one origin: keep-alive, TLS, streamed bodies, three time limits.

General clients cost more CPU per streamed token than the rest of a chat turn; this one hands over
whatever arrived in one socket read.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mangaassist.adapters.openai_compatible.http_body import (
    BodyFraming,
    ChunkedFraming,
    LengthFraming,
    UntilCloseFraming,
)
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)

_READ_BYTES: Final = 64 * 1024
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) (\d{3})(?: .*)?")
_DRAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTimeouts:
    """How long a server may stay silent, by phase of a call."""

    connect_s: float = 2.0
    first_byte_s: float = 10.0
    idle_s: float = 10.0


class _NoResponseError(Exception):
    """The connection ended before any byte of a response."""


class HttpConnection:
    """One TCP or TLS connection; serves one exchange at a time."""

    __slots__ = ("framing", "idle_since", "reader", "writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.framing: BodyFraming = LengthFraming(0)
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether nobody has closed it, as far as is known."""
        return not (self.writer.is_closing() or self.reader.at_eof())

    def abort(self) -> None:
        """Drop the connection at once."""
        self.writer.transport.abort()

    async def drained(self) -> bool:
        """Read off the little that may follow the part already used; say whether it can serve again."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while not self.framing.done:
                    data = await self.reader.read(_READ_BYTES)
                    if not data:
                        return False
                    self.framing.feed(data)
        except (OSError, DependencyError):
            return False
        return self.is_usable


class HttpResponse:
    """Status, headers and a body that is read as it arrives."""

    __slots__ = ("_clock", "_connection", "_deadline", "_idle_s", "_pool", "headers", "status")

    def __init__(
        self,
        *,
        status: int,
        headers: dict[str, str],
        connection: HttpConnection,
        pool: HttpPool,
        deadline: float,
        idle_s: float,
    ) -> None:
        self.status = status
        self.headers = headers
        self._connection = connection
        self._pool = pool
        self._deadline = deadline
        self._idle_s = idle_s
        self._clock = asyncio.get_running_loop().time

    async def read_some(self) -> bytes:
        """Return the next bytes of the body, or none at its end; raise when it is cut or late."""
        connection = self._connection
        framing = connection.framing
        while not framing.done:
            try:
                async with asyncio.timeout_at(self._deadline):
                    data = await connection.reader.read(_READ_BYTES)
            except TimeoutError as error:
                raise DependencyTimeoutError("the server fell silent inside the answer") from error
            except OSError as error:
                raise DependencyUnavailableError(f"the connection was cut: {error}") from error
            self._deadline = self._clock() + self._idle_s
            if not data:
                framing.end()
                return b""
            body = framing.feed(data)
            if body:
                return body
        return b""

    async def read_all(self, limit: int) -> bytes:
        """Return the body up to about `limit` bytes."""
        body = b""
        while len(body) < limit and (data := await self.read_some()):
            body += data
        return body

    def release(self, *, reusable: bool) -> None:
        """Give the connection back; `reusable` says that at most the body's tail is still to come."""
        keep = reusable or self._connection.framing.done
        closes = self.headers.get("connection", "").lower() == "close"
        if keep and not closes and not isinstance(self._connection.framing, UntilCloseFraming):
            self._pool.put_back(self._connection)
        else:
            self._connection.abort()


class HttpPool:
    """Keep-alive connections to one origin; opens nothing before the first call."""

    def __init__(
        self,
        base_url: str,
        *,
        timeouts: HttpTimeouts,
        max_idle: int = 32,
        max_idle_s: float = 55.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"expected an http:// or https:// URL, got {base_url!r}")
        if parts.username or parts.query or parts.fragment:
            raise ConfigurationError("a base URL has no user, query or fragment")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._path_prefix = parts.path.rstrip("/")
        self._host_header = parts.netloc
        self._timeouts = timeouts
        self._max_idle = max_idle
        self._max_idle_s = max_idle_s
        self._tls = tls
        self._idle: deque[HttpConnection] = deque()
        self._closed = False

    async def post(self, path: str, *, headers: str, body: bytes) -> HttpResponse:
        """Send one POST; a kept connection that proves dead is replaced once by a fresh one."""
        head = (
            f"POST {self._path_prefix}{path} HTTP/1.1\r\nHost: {self._host_header}\r\n"
            f"Content-Length: {len(body)}\r\n{headers}\r\n"
        )
        message = head.encode("ascii") + body
        kept = await self._kept()
        if kept is not None:
            with suppress(_NoResponseError):
                return await self._exchange(kept, message)
        try:
            return await self._exchange(await self._connect(), message)
        except _NoResponseError as error:
            raise DependencyUnavailableError(
                f"{self._host_header} closed the connection without an answer"
            ) from error

    def put_back(self, connection: HttpConnection) -> None:
        """Keep the connection for a later call, or drop it when there are enough."""
        if self._closed or not connection.is_usable:
            connection.abort()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)
        if len(self._idle) > self._max_idle:
            self._idle.popleft().abort()

    async def close(self) -> None:
        """Drop the kept connections; idempotent."""
        self._closed = True
        while self._idle:
            connection = self._idle.pop()
            connection.writer.close()
            with suppress(OSError):
                await connection.writer.wait_closed()

    async def _kept(self) -> HttpConnection | None:
        """Return the most recently used connection that still works."""
        oldest = asyncio.get_running_loop().time() - self._max_idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since < oldest or not connection.is_usable:
                connection.abort()
            elif connection.framing.done or await connection.drained():
                return connection
            else:
                connection.abort()
        return None

    async def _connect(self) -> HttpConnection:
        if self._secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._tls if self._secure else None, limit=_READ_BYTES * 4
                )
        except TimeoutError as error:
            raise DependencyTimeoutError(
                f"{self._host_header} did not accept a connection within {self._timeouts.connect_s} s"
            ) from error
        except OSError as error:
            raise DependencyUnavailableError(f"cannot connect to {self._host_header}: {error}") from error
        return HttpConnection(reader, writer)

    async def _exchange(self, connection: HttpConnection, message: bytes) -> HttpResponse:
        deadline = asyncio.get_running_loop().time() + self._timeouts.first_byte_s
        try:
            async with asyncio.timeout_at(deadline):
                connection.writer.write(message)
                status, headers, version = await _read_head(connection)
            connection.framing = _framing(status, headers)
        except TimeoutError as error:
            connection.abort()
            raise DependencyTimeoutError(
                f"{self._host_header} sent no response within {self._timeouts.first_byte_s} s"
            ) from error
        except BaseException:
            connection.abort()
            raise
        if version == 0 and headers.get("connection", "").lower() != "keep-alive":
            headers["connection"] = "close"
        return HttpResponse(
            status=status,
            headers=headers,
            connection=connection,
            pool=self,
            deadline=deadline,
            idle_s=self._timeouts.idle_s,
        )


async def _read_head(connection: HttpConnection) -> tuple[int, dict[str, str], int]:
    """Return status, lower-case headers and minor version of the next final response."""
    while True:
        try:
            await connection.writer.drain()
            head = await connection.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise DependencyUnavailableError("the connection was cut inside the headers") from error
            raise _NoResponseError from error
        except asyncio.LimitOverrunError as error:
            raise DependencyUnavailableError("the response headers are too long") from error
        except TimeoutError:
            raise
        except OSError as error:
            raise _NoResponseError from error
        status_line, *lines = head[:-4].split(b"\r\n")
        match = _STATUS_LINE.fullmatch(status_line)
        if match is None:
            raise DependencyUnavailableError(f"no HTTP/1.1 response but {status_line[:40]!r}")
        status = int(match[2])
        if status >= 200:
            headers: dict[str, str] = {}
            for line in lines:
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.strip().lower()] = value.strip()
            return status, headers, int(match[1])


def _framing(status: int, headers: dict[str, str]) -> BodyFraming:
    """Return how the body ends (RFC 9112 §6.3)."""
    if status in (204, 304):
        return LengthFraming(0)
    coding = headers.get("transfer-encoding", "").lower()
    if coding == "chunked":
        return ChunkedFraming()
    if coding:
        raise DependencyUnavailableError(f"unknown transfer coding {coding!r}")
    length = headers.get("content-length")
    if length is None:
        return UntilCloseFraming()
    if not (length.isascii() and length.isdigit()):
        raise DependencyUnavailableError(f"no content length but {length[:40]!r}")
    return LengthFraming(int(length))
