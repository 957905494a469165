"""POST /v1/feedback: a thumb, a reason, a comment, joined to the answer's trace."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mangaassist.domain.chat import Identity
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.web.schemas import FeedbackBody
from mangaassist.web.services import WebServices, services_of
from mangaassist.web.sessions import received


async def feedback(request: Request) -> Response:
    """Store one event: 202 when new, 200 when repeated, 404 when the answer is not the caller's."""
    caller, body = await received(request, FeedbackBody)
    outcome = await store_feedback(services_of(request), body, caller.identity)
    return Response(
        orjson.dumps({"response_id": body.response_id, "status": outcome}),
        status_code=202 if outcome == "stored" else 200,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


async def store_feedback(services: WebServices, body: FeedbackBody, identity: Identity) -> str:
    """Store the event for its owner; "stored" or "repeated". The time is the server's."""
    event = FeedbackEvent(
        feedback_id=services.ids.sortable("fb"),
        response_id=body.response_id,
        trace_id=body.trace_id,
        feedback=body.feedback,
        timestamp=services.clock.now(),
        reason_code=body.reason_code,
        comment=body.comment,
        value=body.value,
    )
    outcome = await services.feedback.add(event, owner=identity.owner)
    if outcome == "stored":
        services.metrics.feedback_stored(body.feedback)
    return outcome
