"""Feedback, and the note that it has to be carried to its trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import orjson

from mangaassist.adapters.sql.database import Database, Row, Rows, Write, moment_of, timestamp
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.ports.clock import Clock, IdFactory

_ADD: Final = (
    "INSERT INTO feedback"
    " (feedback_id, response_id, trace_id, feedback, timestamp, reason_code, comment, value)"
    " SELECT :feedback_id, response_id, trace_id, :feedback, :timestamp, :reason_code, :comment, :value"
    " FROM request_records WHERE response_id = :response_id AND owner = :owner AND trace_id = :trace_id"
    " ON CONFLICT DO NOTHING RETURNING feedback_id",
    "INSERT INTO outbox (id, kind, subject_id, payload, created_at)"
    " SELECT :outbox_id, 'feedback', feedback_id, :payload, :created_at"
    " FROM feedback WHERE feedback_id = :feedback_id ON CONFLICT DO NOTHING",
    "INSERT INTO copy_outbox (kind, subject_id) SELECT 'feedback', feedback_id"
    " FROM feedback WHERE feedback_id = :feedback_id ON CONFLICT DO NOTHING",
    "SELECT trace_id FROM request_records WHERE response_id = :response_id AND owner = :owner",
)

FEEDBACK_COLUMNS: Final = (
    "feedback_id", "response_id", "trace_id", "feedback", "timestamp", "reason_code", "comment", "value",
)  # fmt: skip

_OF_RESPONSE: Final = (
    f"SELECT {', '.join(FEEDBACK_COLUMNS)}"
    " FROM feedback WHERE response_id = :response_id ORDER BY timestamp, feedback_id"
)


_PAGE: Final = 500


class SqlFeedbackStore:
    """A `FeedbackStore` in the database; every stored event also enters the outbox as `feedback`."""

    def __init__(self, database: Database, *, clock: Clock, ids: IdFactory) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def add(self, event: FeedbackEvent, *, owner: str) -> Literal["stored", "repeated"]:
        """Store one event durably, if the response is `owner`'s."""

        def outcome(results: Sequence[Rows]) -> Literal["stored", "repeated"]:
            stored, visible = results[0], results[-1]
            if not visible:
                raise NotFoundError(f"no response {event.response_id!r}")
            if visible[0][0] != event.trace_id:
                raise InvalidRequestError(
                    f"trace {event.trace_id!r} is not the trace of response {event.response_id!r}",
                    field="trace_id",
                )
            return "stored" if stored else "repeated"

        payload = {"feedback_id": event.feedback_id, "response_id": event.response_id}
        return await self._database.write(
            Write(
                statements=_ADD,
                parameters={
                    "feedback_id": event.feedback_id,
                    "response_id": event.response_id,
                    "trace_id": event.trace_id,
                    "feedback": event.feedback,
                    "timestamp": timestamp(event.timestamp),
                    "reason_code": event.reason_code,
                    "comment": event.comment,
                    "value": event.value,
                    "owner": owner,
                    "outbox_id": self._ids.sortable("out"),
                    "payload": orjson.dumps(payload).decode(),
                    "created_at": timestamp(self._clock.now()),
                },
                lock_key=event.response_id,
                outcome=outcome,
            )
        )

    async def disliked(self, response_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the responses that got a thumbs-down or led to an escalation."""
        found: set[str] = set()
        for start in range(0, len(response_ids), _PAGE):
            page = response_ids[start : start + _PAGE]
            names = ", ".join(f":r{number}" for number in range(len(page)))
            rows = await self._database.read(
                "SELECT response_id FROM feedback WHERE feedback IN ('thumbs_down', 'escalation')"
                f" AND response_id IN ({names})",
                {f"r{number}": response_id for number, response_id in enumerate(page)},
            )
            found.update(row[0] for row in rows)
        return frozenset(found)

    async def of_response(self, response_id: str) -> tuple[FeedbackEvent, ...]:
        """Return the events of a response, oldest first."""
        rows = await self._database.read(_OF_RESPONSE, {"response_id": response_id})
        return tuple(decoded_feedback(row) for row in rows)


def decoded_feedback(row: Row) -> FeedbackEvent:
    """Return the event of a row of `FEEDBACK_COLUMNS`."""
    return FeedbackEvent(
        feedback_id=row[0],
        response_id=row[1],
        trace_id=row[2],
        feedback=row[3],
        timestamp=moment_of(row[4]),
        reason_code=row[5],
        comment=row[6],
        value=row[7],
    )
