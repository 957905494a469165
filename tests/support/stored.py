"""Turns, records and feedback to store."""

from __future__ import annotations

from datetime import UTC, datetime

from mangaassist.domain.chat import Turn
from mangaassist.domain.dialogue import Constraints, DialogueState
from mangaassist.domain.feedback import FeedbackEvent, FeedbackValue
from mangaassist.domain.intents import Intent
from mangaassist.domain.records import RequestRecord
from mangaassist.ports.sessions import TurnWrite

MOMENT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def make_record(
    response_id: str, *, session_id: str = "ses_1", owner: str = "visitor:1", created_at: datetime = MOMENT
) -> RequestRecord:
    return RequestRecord(
        response_id=response_id,
        request_id=f"req_{response_id}",
        trace_id=f"trace_{response_id}",
        session_id=session_id,
        owner=owner,
        created_at=created_at,
        intent="recommendation",
        confidence=0.875,
        classification_path="model",
        route="llm",
        release_bundle="bundle-1",
        prompt_version="recommendation-1.0",
        model_id="composer",
        page_type="home",
        user_type="guest",
        locale="en-US",
        cache_hit=False,
        input_tokens=2**40,
        output_tokens=120,
        cached_input_tokens=0,
        latency_ms=12.5,
        time_to_first_token_ms=None,
        guardrail_action="allow",
        guardrail_scores={"toxicity": 0.25},
        chunk_ids=("chunk-1", "chunk-2"),
        step_ms={"build_prompt": 0.5},
    )


def make_write(
    response_id: str,
    *,
    session_id: str = "ses_1",
    owner: str = "visitor:1",
    user_text: str = "something dark, please",
    created_at: datetime = MOMENT,
) -> TurnWrite:
    return TurnWrite(
        session_id=session_id,
        owner=owner,
        turn=Turn(
            response_id=response_id,
            user_text=user_text,
            assistant_text=f"Try Monster — モンスター ({response_id}).",
            intent=Intent.RECOMMENDATION,
            created_at=created_at,
        ),
        state=DialogueState(
            topic=Intent.RECOMMENDATION,
            constraints=Constraints(genres=("thriller",), max_price_usd=20.0),
            listed_series=("monster", "pluto"),
            turn_count=1,
        ),
        record=make_record(response_id, session_id=session_id, owner=owner, created_at=created_at),
    )


def make_feedback(
    response_id: str,
    *,
    feedback_id: str = "fb_1",
    feedback: FeedbackValue = "thumbs_down",
    trace_id: str | None = None,
    timestamp: datetime = MOMENT,
) -> FeedbackEvent:
    return FeedbackEvent(
        feedback_id=feedback_id,
        response_id=response_id,
        trace_id=trace_id or f"trace_{response_id}",
        feedback=feedback,
        timestamp=timestamp,
        reason_code="not_relevant",
        comment="too long ;-)",
    )
