"""What the columnar copy still lacks, stored with what caused it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from mangaassist.adapters.sql.database import Database, Parameter, Write
from mangaassist.adapters.sql.feedback import FEEDBACK_COLUMNS, decoded_feedback
from mangaassist.adapters.sql.records import RECORD_COLUMNS, decoded_record
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.records import RequestRecord

CopyKind = Literal["record", "feedback"]

_RECORD: Final = ", ".join(f"request_records.{name}" for name in RECORD_COLUMNS)
_FEEDBACK: Final = ", ".join(f"feedback.{name}" for name in FEEDBACK_COLUMNS)

_RECORDS: Final = (
    f"SELECT {_RECORD} FROM copy_outbox JOIN request_records ON response_id = subject_id"
    " WHERE kind = 'record' ORDER BY subject_id LIMIT :limit"
)
_FEEDBACKS: Final = (
    f"SELECT {_FEEDBACK}, {_RECORD} FROM copy_outbox JOIN feedback ON feedback_id = subject_id"
    " JOIN request_records ON request_records.response_id = feedback.response_id"
    " WHERE kind = 'feedback' ORDER BY subject_id LIMIT :limit"
)
_REFILL: Final = (
    "INSERT INTO copy_outbox (kind, subject_id) SELECT 'record', response_id FROM request_records WHERE true"
    " ON CONFLICT DO NOTHING",
    "INSERT INTO copy_outbox (kind, subject_id) SELECT 'feedback', feedback_id FROM feedback WHERE true"
    " ON CONFLICT DO NOTHING",
)
_PAGE: Final = 500


class SqlCopyOutbox:
    """Hands over what is to be copied, at least once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def records(self, *, limit: int) -> tuple[RequestRecord, ...]:
        """Return records that are not copied yet."""
        rows = await self._database.read(_RECORDS, {"limit": limit})
        return tuple(decoded_record(row) for row in rows)

    async def feedback(self, *, limit: int) -> tuple[tuple[FeedbackEvent, RequestRecord], ...]:
        """Return feedback that is not copied yet, each with the record of its answer."""
        rows = await self._database.read(_FEEDBACKS, {"limit": limit})
        width = len(FEEDBACK_COLUMNS)
        return tuple((decoded_feedback(row[:width]), decoded_record(row[width:])) for row in rows)

    async def done(self, kind: CopyKind, subject_ids: Sequence[str]) -> None:
        """Take copied subjects out; taking them out again changes nothing."""
        for start in range(0, len(subject_ids), _PAGE):
            page = subject_ids[start : start + _PAGE]
            parameters: dict[str, Parameter] = {f"id{number}": one for number, one in enumerate(page)}
            names = ", ".join(f":{name}" for name in parameters)
            await self._database.write(
                Write(
                    statements=(f"DELETE FROM copy_outbox WHERE kind = :kind AND subject_id IN ({names})",),
                    parameters={"kind": kind, **parameters},
                    lock_key=f"copy-{kind}",
                    outcome=lambda results: None,
                )
            )

    async def refill(self) -> None:
        """Ask for everything to be copied again."""
        await self._database.write(
            Write(statements=_REFILL, parameters={}, lock_key="copy", outcome=lambda results: None)
        )
