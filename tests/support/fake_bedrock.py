"""A Bedrock runtime endpoint on localhost, faithful on the wire; drive it with boto3 or aiobotocore only.

Speaks Converse and ConverseStream: vnd.amazon.eventstream framing with both checksums, errors as
HTTP status plus `x-amzn-ErrorType` before the stream and as exception frames inside it, and the
service's own checks of the messages.
"""

from __future__ import annotations

import json
import re
import struct
from binascii import crc32
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

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

_PATH = re.compile(r"/model/(?P<model_id>.+)/(?P<operation>converse|converse-stream)")
_STRING_HEADER = 7


def encode_frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one vnd.amazon.eventstream message: prelude, its CRC, headers, payload, CRC of all."""
    encoded = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", _STRING_HEADER, len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack("!I", crc32(prelude)) + encoded + payload
    return message + struct.pack("!I", crc32(message))


def event_frame(kind: str, payload: dict[str, Any]) -> bytes:
    """Return the frame of one event, as Bedrock sends it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(headers, json.dumps(payload).encode())


def exception_frame(kind: str, message: str) -> bytes:
    """Return the frame of an error inside the stream; its code is lower-case first."""
    code = kind[:1].lower() + kind[1:]
    headers = {":exception-type": code, ":content-type": "application/json", ":message-type": "exception"}
    return encode_frame(headers, json.dumps({"message": message}).encode())


def answer_frames(answer: tuple[str, ...], usage: dict[str, int], stop_reason: str) -> list[bytes]:
    """Return the frames of a whole ConverseStream answer."""
    return [
        event_frame("messageStart", {"role": "assistant"}),
        *(
            event_frame("contentBlockDelta", {"delta": {"text": piece}, "contentBlockIndex": 0})
            for piece in answer
        ),
        event_frame("contentBlockStop", {"contentBlockIndex": 0}),
        event_frame("messageStop", {"stopReason": stop_reason}),
        event_frame("metadata", {"usage": usage, "metrics": {"latencyMs": 12}}),
    ]


class FakeBedrock:
    """The endpoint: scripted answers, planned faults, recorded calls; a context manager."""

    def __init__(
        self, answer: tuple[str, ...] = ("Try ", "“Berserk”", ", volume 1 ", "→ dark fantasy.")
    ) -> None:
        self.answer = answer
        self.stop_reason = "end_turn"
        self.plan = FaultPlan()
        self.calls: list[RecordedCall] = []
        self.open_streams = OpenStreams()
        self._cached_prefixes: set[str] = set()
        self._server = ThreadedServer(self._app)
        self.url = self._server.url

    def __enter__(self) -> FakeBedrock:
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
        """How many frames an undisturbed stream has."""
        return len(self.answer) + 4

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(receive))
        path = scope["raw_path"].decode()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.calls.append(RecordedCall(path=path, body=body, headers=headers))
        fault = self.plan.next()
        match = _PATH.fullmatch(unquote(path))
        if match is None:
            await self._refuse(send, 404, Fault(error_type="UnknownOperationException"))
        elif fault.status is not None:
            await self._refuse(send, fault.status, fault)
        elif problem := _problem_of(body):
            await self._refuse(send, 400, Fault(error_type="ValidationException", message=problem))
        elif match["operation"] == "converse":
            await self._converse(send, body)
        else:
            with self.open_streams:
                await send_frames(
                    receive,
                    send,
                    content_type="application/vnd.amazon.eventstream",
                    frames=answer_frames(self.answer, self._usage(body), self.stop_reason),
                    error=exception_frame(fault.error_type, fault.message),
                    fault=fault,
                )

    async def _refuse(self, send: Send, status: int, fault: Fault) -> None:
        headers = [("content-type", "application/json"), ("x-amzn-ErrorType", fault.error_type)]
        if fault.retry_after is not None:
            headers.append(("retry-after", fault.retry_after))
        await send_whole(
            send, status=status, headers=headers, body=json.dumps({"message": fault.message}).encode()
        )

    async def _converse(self, send: Send, body: dict[str, Any]) -> None:
        answer = {
            "output": {"message": {"role": "assistant", "content": [{"text": self.text}]}},
            "stopReason": self.stop_reason,
            "usage": self._usage(body),
            "metrics": {"latencyMs": 12},
        }
        await send_whole(
            send,
            status=200,
            headers=[("content-type", "application/json")],
            body=json.dumps(answer).encode(),
        )

    def _usage(self, body: dict[str, Any]) -> dict[str, int]:
        """Count words as tokens; a prefix up to a cache point is written once and read afterwards."""
        prefix, cacheable = "", False
        for block in body.get("system", ()):
            prefix += block.get("text", "")
            cacheable = cacheable or "cachePoint" in block
        known = prefix in self._cached_prefixes
        prefix_tokens = len(prefix.split())
        input_tokens = sum(len(part["text"].split()) for turn in body["messages"] for part in turn["content"])
        usage = {"inputTokens": input_tokens, "outputTokens": len(self.answer)}
        if cacheable:
            self._cached_prefixes.add(prefix)
            usage["cacheReadInputTokens"] = prefix_tokens if known else 0
            usage["cacheWriteInputTokens"] = 0 if known else prefix_tokens
        else:
            usage["inputTokens"] += prefix_tokens
        return usage | {"totalTokens": sum(usage.values())}


def _problem_of(body: dict[str, Any]) -> str | None:
    """Say what the service would refuse about the messages."""
    roles = [turn["role"] for turn in body.get("messages", ())]
    if not roles or roles[0] != "user":
        return "A conversation must start with a user message."
    if any(first == second for first, second in pairwise(roles)):
        return "A conversation must alternate between user and assistant roles."
    if any(not part.get("text", "").strip() for turn in body["messages"] for part in turn["content"]):
        return "The text field in the ContentBlock object is blank."
    return None
