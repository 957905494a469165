"""A Bedrock ApplyGuardrail endpoint on localhost, faithful on the wire; drive it with aiobotocore."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

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

_PATH = re.compile(r"/guardrail/(?P<id>[^/]+)/version/(?P<version>\d+|DRAFT)/apply")


class FakeGuardrail:
    """The endpoint of guardrail `gr-shop`, version 1: `confidence` of what mentions instructions."""

    def __init__(self) -> None:
        self.plan = FaultPlan()
        self.calls: list[RecordedCall] = []
        self.confidence = "HIGH"
        self.action = "BLOCKED"
        self._server = ThreadedServer(self._app)
        self.url = self._server.url

    def __enter__(self) -> FakeGuardrail:
        self._server.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.__exit__(None, None, None)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads(await read_body(receive))
        path = unquote(scope["raw_path"].decode())
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.calls.append(RecordedCall(path=path, body=body, headers=headers))
        fault = self.plan.next()
        match = _PATH.fullmatch(path)
        if fault.status is not None:
            await _refuse(send, fault.status, fault)
        elif match is None or match["id"] != "gr-shop":
            await _refuse(send, 404, Fault(error_type="ResourceNotFoundException"))
        elif body.get("source") not in ("INPUT", "OUTPUT") or not body.get("content"):
            await _refuse(send, 400, Fault(error_type="ValidationException"))
        else:
            await _send(send, 200, self._answer(body), ())

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        text = " ".join(block["text"]["text"] for block in body["content"])
        filters = [
            {"type": "INSULTS", "confidence": "HIGH", "action": "BLOCKED"} for _ in re.findall("idiot", text)
        ]
        if "instructions" in text:
            filters.append({"type": "PROMPT_ATTACK", "confidence": self.confidence, "action": self.action})
        usage = dict.fromkeys(
            (
                "topicPolicyUnits",
                "contentPolicyUnits",
                "wordPolicyUnits",
                "sensitiveInformationPolicyUnits",
                "sensitiveInformationPolicyFreeUnits",
                "contextualGroundingPolicyUnits",
            ),
            1,
        )
        return {
            "usage": usage,
            "action": "GUARDRAIL_INTERVENED" if filters else "NONE",
            "outputs": [{"text": "blocked"}] if filters else [],
            "assessments": [{"contentPolicy": {"filters": filters}}] if filters else [],
        }


async def _refuse(send: Send, status: int, fault: Fault) -> None:
    await _send(send, status, {"message": fault.message}, [("x-amzn-ErrorType", fault.error_type)])


async def _send(send: Send, status: int, document: dict[str, Any], headers: Any) -> None:
    await send_whole(
        send,
        status=status,
        headers=[("content-type", "application/json"), *headers],
        body=json.dumps(document).encode(),
    )
