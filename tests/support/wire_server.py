"""What the fake endpoints share: a real server in a thread, and a plan of what goes wrong when."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong in one call. Frames are counted from 0; all times are real seconds."""

    status: int | None = None  # refuse before the stream with this HTTP status
    error_type: str = "InternalServerException"  # name of the error before or inside the stream
    message: str = "planned fault"
    retry_after: str | None = None
    error_after: int | None = None  # error frame after this many frames
    cut_after: int | None = None  # drop the connection after this many frames ...
    cut_inside: int = 0  # ... and this many bytes of the next one
    end_after: int | None = None  # end the body properly, but too early, after this many frames
    first_byte_delay_s: float = 0.0
    frame_delay_s: float = 0.0
    stall_after: int | None = None  # say nothing for `stall_s` after this many frames
    stall_s: float = 30.0


NO_FAULT = Fault()


@dataclass(slots=True)
class FaultPlan:
    """The fault of each call: `at[n]` for the n-th (from 1), else `always`."""

    always: Fault = NO_FAULT
    at: dict[int, Fault] = field(default_factory=dict)
    calls: int = 0

    def next(self) -> Fault:
        """Count a call and return its fault."""
        self.calls += 1
        return self.at.get(self.calls, self.always)

    def reset(self, *, always: Fault = NO_FAULT, at: dict[int, Fault] | None = None) -> None:
        """Start counting anew under another plan."""
        self.always = always
        self.at = at or {}
        self.calls = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One request as it came over the wire."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


class CutConnectionError(Exception):
    """Raised inside the application to make the server drop the connection."""


class OpenStreams:
    """Counts the streams the server is still sending."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *exc_info: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_until_none(self, timeout_s: float = 5.0) -> bool:
        """Wait until every stream has ended; say False when it takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout_s)


class ThreadedServer:
    """Runs an ASGI application with uvicorn on a free port of localhost, in its own thread."""

    def __init__(self, app: AsgiApp) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app, interface="asgi3", log_config=None, log_level="critical", access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="fake-endpoint")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


async def read_body(receive: Receive) -> bytes:
    """Return the whole request body."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body


async def send_whole(send: Send, *, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
    """Answer with a body of known length."""
    fields = [*headers, ("content-length", str(len(body)))]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in fields],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_frames(
    receive: Receive, send: Send, *, content_type: str, frames: Sequence[bytes], error: bytes, fault: Fault
) -> None:
    """Stream the frames one write each, as the fault says; stop when the client is gone."""
    gone = asyncio.ensure_future(receive())

    async def client_left(within_s: float) -> bool:
        if within_s:
            await asyncio.wait({gone}, timeout=within_s)
        return gone.done()

    try:
        if await client_left(fault.first_byte_delay_s):
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", content_type.encode())],
            }
        )
        for number in range(len(frames) + 1):
            frame = frames[number] if number < len(frames) else b""
            if number == fault.cut_after:
                await send(
                    {"type": "http.response.body", "body": frame[: fault.cut_inside], "more_body": True}
                )
                raise CutConnectionError
            if number == fault.error_after:
                await send({"type": "http.response.body", "body": error, "more_body": True})
                break
            if number == fault.end_after:
                break
            if await client_left(fault.stall_s if number == fault.stall_after else fault.frame_delay_s):
                return
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
