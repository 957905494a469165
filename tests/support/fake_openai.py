"""An OpenAI-compatible chat completions endpoint on localhost, with planned faults."""

from __future__ import annotations

import json
from typing import Any

from tests.support.wire_server import (
    Fault,
    FaultPlan,
    OpenStreams,
    Receive,
    RecordedCall,
    Scope,
    Send,
    ThreadedServer,
    read_body,
    send_frames,
    send_whole,
)


def sse(payload: dict[str, Any]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def chat_chunk(
    delta: dict[str, Any], *, finish_reason: str | None = None, model: str = "fake"
) -> dict[str, Any]:
    """Return one chunk of a streamed chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def answer_events(
    answer: tuple[str, ...], *, finish_reason: str = "stop", usage: dict[str, Any] | None = None
) -> list[bytes]:
    """Return the events of a whole streamed answer."""
    events = [sse(chat_chunk({"role": "assistant", "content": ""}))]
    events += [sse(chat_chunk({"content": piece})) for piece in answer]
    events.append(sse(chat_chunk({}, finish_reason=finish_reason)))
    if usage is not None:
        events.append(sse({**chat_chunk({}), "choices": [], "usage": usage}))
    return [*events, b"data: [DONE]\n\n"]


class FakeOpenAI:
    """The endpoint: scripted answers, planned faults, recorded calls; a context manager."""

    def __init__(
        self, answer: tuple[str, ...] = ("Try ", "“Berserk”", ", volume 1 ", "→ dark fantasy.")
    ) -> None:
        self.answer = answer
        self.finish_reason = "stop"
        self.reports_usage = True
        self.cached_tokens = 0
        self.plan = FaultPlan()
        self.calls: list[RecordedCall] = []
        self.open_streams = OpenStreams()
        self.peers: list[tuple[str, int]] = []
        self._server = ThreadedServer(self._app)
        self.url = self._server.url + "/v1"

    def __enter__(self) -> FakeOpenAI:
        self._server.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.__exit__(None, None, None)

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.answer)

    @property
    def frame_count(self) -> int:
        """How many events an undisturbed stream with usage has."""
        return len(self.answer) + 4

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(receive))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.calls.append(RecordedCall(path=scope["path"], body=body, headers=headers))
        self.peers.append(tuple(scope["client"]))
        fault = self.plan.next()
        if fault.status is not None:
            await self._refuse(send, fault.status, fault)
        elif scope["path"] != "/v1/chat/completions" or not body.get("stream"):
            await self._refuse(send, 404, Fault(error_type="not_found"))
        else:
            with self.open_streams:
                await send_frames(
                    receive,
                    send,
                    content_type="text/event-stream; charset=utf-8",
                    frames=answer_events(
                        self.answer, finish_reason=self.finish_reason, usage=self._usage(body)
                    ),
                    error=sse({"error": {"type": fault.error_type, "message": fault.message}}),
                    fault=fault,
                )

    async def _refuse(self, send: Send, status: int, fault: Fault) -> None:
        headers = [("content-type", "application/json")]
        if fault.retry_after is not None:
            headers.append(("retry-after", fault.retry_after))
        error = {"error": {"message": fault.message, "type": fault.error_type, "code": None}}
        await send_whole(send, status=status, headers=headers, body=json.dumps(error).encode())

    def _usage(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """Count words as tokens, where the client asked for usage and the server reports it."""
        if not self.reports_usage or not body.get("stream_options", {}).get("include_usage"):
            return None
        prompt_tokens = sum(len(message["content"].split()) for message in body["messages"])
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(self.answer),
            "total_tokens": prompt_tokens + len(self.answer),
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }
