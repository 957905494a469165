"""Request records as rows; `docs/reference/request-record.md` describes every column."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import orjson

from mangaassist.adapters.sql.database import Database, Parameter, Row, moment_of, timestamp
from mangaassist.domain.records import RequestRecord

RECORD_COLUMNS: Final = tuple(field.name for field in fields(RequestRecord))

_PARAMETERS: Final = tuple(f"record_{name}" for name in RECORD_COLUMNS)
_values_of: Final = attrgetter(*RECORD_COLUMNS)

_MAPPINGS: Final = (
    "guardrail_scores",
    "step_ms",
    "assignments",
    "versions",
    "guardrail_actions",
    "guardrail_rules",
)
_LISTS: Final = ("chunk_ids", "chunk_hashes")
_FLAGS: Final = ("cache_hit", "fallback_model", "tokens_estimated")

INSERT_RECORD: Final = (
    f"INSERT INTO request_records ({', '.join(RECORD_COLUMNS)})"
    f" SELECT {', '.join(f':{name}' for name in _PARAMETERS)}"
)
"""To be continued by `WHERE ..`: the condition under which the record is written."""

SELECT_RECORD: Final = f"SELECT {', '.join(RECORD_COLUMNS)} FROM request_records"

_SINCE: Final = (
    f"{SELECT_RECORD} WHERE (created_at, response_id) > (:since, :after)"
    " ORDER BY created_at, response_id LIMIT :limit"
)


_FIND: Final = (
    f"{SELECT_RECORD} WHERE response_id IN ("
    "SELECT response_id FROM request_records WHERE response_id = :id"
    " UNION SELECT response_id FROM request_records WHERE trace_id = :id"
    " UNION SELECT response_id FROM feedback WHERE feedback_id = :id"
    " UNION SELECT response_id FROM turns WHERE session_id = :id)"
    " ORDER BY created_at DESC, response_id DESC LIMIT :limit"
)

_OF_OWNER: Final = f"{SELECT_RECORD} WHERE owner = :owner ORDER BY created_at DESC LIMIT :limit"

_BETWEEN: Final = (
    f"{SELECT_RECORD} WHERE created_at >= :since AND created_at < :until"
    " AND (CAST(:intent AS TEXT) IS NULL OR intent = :intent)"
    " ORDER BY created_at DESC, response_id DESC LIMIT :limit"
)


class SqlRequestRecords:
    """`RequestRecords` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, identifier: str, *, limit: int = 20) -> tuple[RequestRecord, ...]:
        """Return the records of a response, trace, session or feedback id, newest first."""
        rows = await self._database.read(_FIND, {"id": identifier, "limit": limit})
        return tuple(decoded_record(row) for row in rows)

    async def of_owner(self, owner: str, *, limit: int = 100) -> tuple[RequestRecord, ...]:
        """Return the records of one customer or visitor, newest first."""
        rows = await self._database.read(_OF_OWNER, {"owner": owner, "limit": limit})
        return tuple(decoded_record(row) for row in rows)

    async def between(
        self, since: datetime, until: datetime, *, limit: int, intent: str | None = None
    ) -> tuple[RequestRecord, ...]:
        """Return the records of a time, `until` excluded, newest first."""
        parameters: dict[str, Parameter] = {
            "since": timestamp(since),
            "until": timestamp(until),
            "intent": intent,
            "limit": limit,
        }
        rows = await self._database.read(_BETWEEN, parameters)
        return tuple(decoded_record(row) for row in rows)

    async def since(self, since: datetime, *, limit: int, after: str = "") -> tuple[RequestRecord, ...]:
        """Return records by time, oldest first, from `since` on; the next page starts `after` the last one.

        A record commits a moment after its `created_at`: a reader that follows the end looks back a little.
        """
        rows = await self._database.read(_SINCE, {"since": timestamp(since), "after": after, "limit": limit})
        return tuple(decoded_record(row) for row in rows)


def record_parameters(record: RequestRecord) -> dict[str, Parameter]:
    """Return the parameters of `INSERT_RECORD`."""
    parameters: dict[str, Parameter] = dict(zip(_PARAMETERS, _values_of(record), strict=True))
    for name in (*_MAPPINGS, *_LISTS):
        parameters["record_" + name] = orjson.dumps(getattr(record, name)).decode()
    parameters["record_created_at"] = timestamp(record.created_at)
    return parameters


def decoded_record(row: Row) -> RequestRecord:
    """Return the record of a row of `SELECT_RECORD`."""
    values: dict[str, Any] = dict(zip(RECORD_COLUMNS, row, strict=True))
    for name in _MAPPINGS:
        values[name] = orjson.loads(values[name])
    for name in _LISTS:
        values[name] = tuple(orjson.loads(values[name]))
    for name in _FLAGS:
        values[name] = bool(values[name])
    values["created_at"] = moment_of(values["created_at"])
    return RequestRecord(**values)
