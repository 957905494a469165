"""The review queue of guarded answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson

from mangaassist.adapters.sql.database import Database, Parameter, Row, Write, moment_of, timestamp
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.guardrail_reviews import GuardrailReview
from mangaassist.ports.clock import Clock
from mangaassist.ports.guardrail_reviews import AnswerWords, Labelling, ReviewFilter

_COLUMNS: Final = (
    "response_id", "created_at", "reason", "intent", "channel", "phase", "stage", "rule_id", "action",
    "ruleset_version", "question", "text", "findings", "label", "note", "labelled_by", "labelled_at",
)  # fmt: skip
_WRITTEN: Final = _COLUMNS[:13]

INSERT_REVIEW: Final = (
    f"INSERT INTO guardrail_reviews ({', '.join(_WRITTEN)})"
    f" SELECT {', '.join(f':review_{name}' for name in _WRITTEN)}"
    " WHERE EXISTS (SELECT 1 FROM request_records WHERE response_id = :review_response_id)"
    " ON CONFLICT (response_id) DO NOTHING RETURNING response_id"
)

_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM guardrail_reviews"

_WORDS: Final = (
    "SELECT response_id, user_text, assistant_text FROM turns"
    " WHERE created_at >= :since AND response_id > :after ORDER BY response_id LIMIT :limit"
)

_LABEL: Final = (
    "UPDATE guardrail_reviews SET label = :label, note = :note, labelled_by = :labelled_by,"
    " labelled_at = :labelled_at WHERE response_id = :response_id RETURNING response_id"
)


class SqlGuardrailReviews:
    """A `GuardrailReviews` in the database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, reviews: Sequence[GuardrailReview]) -> int:
        """Queue answers, each in its own transaction."""
        return sum([await self._add(review) for review in reviews])

    async def _add(self, review: GuardrailReview) -> bool:
        return await self._database.write(
            Write(
                statements=(INSERT_REVIEW,),
                parameters=review_parameters(review),
                lock_key=review.response_id,
                outcome=lambda results: bool(results[0]),
            )
        )

    async def find(self, wanted: ReviewFilter, *, limit: int, after: str = "") -> tuple[GuardrailReview, ...]:
        """Return reviews by response id, which sorts by time."""
        conditions = ["response_id > :after"]
        parameters: dict[str, Parameter] = {"after": after, "limit": limit}
        if wanted.stage is not None:
            conditions.append("stage = :stage")
            parameters["stage"] = wanted.stage
        if wanted.intent is not None:
            conditions.append("intent = :intent")
            parameters["intent"] = wanted.intent
        if wanted.labelled is not None:
            conditions.append(f"label IS {'NOT ' if wanted.labelled else ''}NULL")
        if wanted.since is not None:
            conditions.append("created_at >= :since")
            parameters["since"] = timestamp(wanted.since)
        rows = await self._database.read(
            f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY response_id LIMIT :limit", parameters
        )
        return tuple(_decoded(row) for row in rows)

    async def get(self, response_id: str) -> GuardrailReview:
        """Return one review."""
        rows = await self._database.read(
            f"{_SELECT} WHERE response_id = :response_id", {"response_id": response_id}
        )
        if not rows:
            raise NotFoundError(f"response {response_id!r} is not in the review queue")
        return _decoded(rows[0])

    async def words(self, since: datetime, *, limit: int, after: str = "") -> tuple[AnswerWords, ...]:
        """Return the words of stored answers."""
        rows = await self._database.read(_WORDS, {"since": timestamp(since), "limit": limit, "after": after})
        return tuple(AnswerWords(response_id=row[0], question=row[1], text=row[2]) for row in rows)

    async def label(self, labelling: Labelling) -> None:
        """Set the label."""
        found = await self._database.write(
            Write(
                statements=(_LABEL,),
                parameters={
                    "response_id": labelling.response_id,
                    "label": labelling.label,
                    "note": labelling.note,
                    "labelled_by": labelling.labelled_by,
                    "labelled_at": timestamp(self._clock.now()),
                },
                lock_key=labelling.response_id,
                outcome=lambda results: bool(results[0]),
            )
        )
        if not found:
            raise NotFoundError(f"response {labelling.response_id!r} is not in the review queue")


def review_parameters(review: GuardrailReview) -> dict[str, Parameter]:
    """Return the parameters of `INSERT_REVIEW`."""
    parameters: dict[str, Parameter] = {f"review_{name}": getattr(review, name) for name in _WRITTEN}
    parameters["review_created_at"] = timestamp(review.created_at)
    parameters["review_findings"] = orjson.dumps(review.findings).decode()
    return parameters


def _decoded(row: Row) -> GuardrailReview:
    values = dict(zip(_COLUMNS, row, strict=True))
    findings = values["findings"]
    values["findings"] = orjson.loads(findings) if isinstance(findings, str | bytes) else findings
    values["created_at"] = moment_of(values["created_at"])
    if values["labelled_at"] is not None:
        values["labelled_at"] = moment_of(values["labelled_at"])
    return GuardrailReview(**values)
