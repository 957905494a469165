"""An Amazon Comprehend endpoint on localhost, faithful on the wire; drive it with boto3 or aiobotocore only.

Speaks DetectPiiEntities in AWS JSON 1.1: the operation in `X-Amz-Target`, offsets in code points, errors as
HTTP 400 or 500 with `__type` in the body, and the service's own checks of language and size.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.wire_server import (
    Fault,
    FaultPlan,
    Receive,
    RecordedCall,
    Scope,
    Send,
    ThreadedServer,
    read_body,
    send_whole,
)

_TARGET = "Comprehend_20171127.DetectPiiEntities"
_TYPES = {
    "EMAIL": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "PHONE": r"\b\d{3}-\d{3}-\d{4}\b",
    "NAME": r"(?<=my name is )[A-Z]\w+ [A-Z]\w+",
    "DATE_TIME": r"\b(?:Mon|Tues|Fri)day\b",
}


class FakeComprehend:
    """The endpoint: finds a few forms, planned faults, recorded calls; a context manager."""

    def __init__(self) -> None:
        self.plan = FaultPlan()
        self.calls: list[RecordedCall] = []
        self.score = 0.99
        self._server = ThreadedServer(self._app)
        self.url = self._server.url

    def __enter__(self) -> FakeComprehend:
        self._server.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.__exit__(None, None, None)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(receive))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.calls.append(RecordedCall(path=scope["path"], body=body, headers=headers))
        fault = self.plan.next()
        if fault.status is not None:
            await _refuse(send, fault.status, fault)
        elif headers.get("x-amz-target") != _TARGET:
            await _refuse(send, 400, Fault(error_type="UnknownOperationException"))
        elif body.get("LanguageCode") not in ("en", "es"):
            await _refuse(send, 400, Fault(error_type="UnsupportedLanguageException"))
        elif len(body["Text"].encode()) > 100_000:
            await _refuse(send, 400, Fault(error_type="TextSizeLimitExceededException"))
        else:
            await _send(send, 200, {"Entities": self._entities(body["Text"])})

    def _entities(self, text: str) -> list[dict[str, Any]]:
        return [
            {"Score": self.score, "Type": kind, "BeginOffset": match.start(), "EndOffset": match.end()}
            for kind, pattern in _TYPES.items()
            for match in re.finditer(pattern, text)
        ]


async def _refuse(send: Send, status: int, fault: Fault) -> None:
    await _send(send, status, {"__type": fault.error_type, "Message": fault.message})


async def _send(send: Send, status: int, document: dict[str, Any]) -> None:
    await send_whole(
        send,
        status=status,
        headers=[("content-type", "application/x-amz-json-1.1")],
        body=json.dumps(document).encode(),
    )
