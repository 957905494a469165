"""An OpenAI-compatible model with zero latency: 200 prebuilt tokens.

Usage: python -m benchmarks.fake_model PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

TOKENS = 200


def _chunk(delta: dict[str, str], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    document = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fake",
        "choices": [choice],
    }
    return b"data: " + json.dumps(document).encode() + b"\n\n"


WORDS = ("a", "quiet", "story", "about", "two", "friends", "who", "open", "small", "shop")
STREAM = (
    _chunk({"role": "assistant", "content": ""})
    + b"".join(_chunk({"content": f"{WORDS[index % len(WORDS)]} "}) for index in range(TOKENS))
    + _chunk({}, finish="stop")
    + b"data: [DONE]\n\n"
)
MODELS = json.dumps({"object": "list", "data": [{"id": "fake", "object": "model"}]}).encode()


def _response(body: bytes, content_type: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
    return head % (content_type, len(body)) + body


class FakeModel(asyncio.Protocol):
    """Answers every request with the same stream."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast("asyncio.WriteTransport", transport)
        self._buffer = b""
        self._stream = _response(STREAM, b"text/event-stream")
        self._models = _response(MODELS, b"application/json")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = 0
            if b"content-length:" in head:
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(self._models if b"/models" in head[:60] else self._stream)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(FakeModel, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
