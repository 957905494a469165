"""The columns of the copy, derived from the records they are copied from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa

from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.records import RequestRecord

BUCKETS: Final = 16
"""Partitions of a day by customer: what has to be rewritten when one customer is forgotten."""

_MOMENT: Final = pa.timestamp("us")
"""UTC without saying so: DuckDB computes with zones only through an extension that it would have to fetch."""

_SCALARS: Final = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    datetime: _MOMENT,
}
_LEFT_OUT: Final = frozenset({"owner", "capsule"})
_CONTEXT: Final = (
    "intent", "prompt_version", "release_bundle", "model_id", "route", "deployment_stage", "user_type",
    "assignments",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFeedback:
    """A feedback event with the record of the answer it is about."""

    event: FeedbackEvent
    record: RequestRecord


def _arrow_type(hint: Any) -> pa.DataType:
    """Return the column type of a field's type: a scalar, one that may be None, a tuple, a mapping."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return pa.string()
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    if origin is Mapping:
        return pa.map_(_arrow_type(arguments[0]), _arrow_type(arguments[1]))
    (given,) = (one for one in arguments if one is not type(None))
    return _arrow_type(given)


RECORD_SCHEMA: Final = pa.schema(
    [pa.field("owner_hash", pa.string())]
    + [
        pa.field(name, _arrow_type(hint))
        for name, hint in get_type_hints(RequestRecord).items()
        if name not in _LEFT_OUT
    ]
)
FEEDBACK_SCHEMA: Final = pa.schema(
    [
        pa.field("owner_hash", pa.string()),
        pa.field("feedback_id", pa.string()),
        pa.field("response_id", pa.string()),
        pa.field("created_at", _MOMENT),
        pa.field("given_at", _MOMENT),
        pa.field("feedback", pa.string()),
        pa.field("reason_code", pa.string()),
        pa.field("value", pa.float64()),
        *(RECORD_SCHEMA.field(name) for name in _CONTEXT),
    ]
)


def owner_hash(owner: str) -> str:
    """Return the pseudonym of an owner in the copy: 16 hex characters of its SHA-256."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def bucket_of(owner: str) -> int:
    """Return the partition that an owner's rows are in."""
    return int(owner_hash(owner)[:4], 16) % BUCKETS


def record_table(records: Sequence[RequestRecord]) -> pa.Table:
    """Return records as columns."""
    columns: dict[str, list[object]] = {"owner_hash": [owner_hash(record.owner) for record in records]}
    for column in RECORD_SCHEMA:
        if column.name != "owner_hash":
            columns[column.name] = _cells(column, (getattr(record, column.name) for record in records))
    return pa.table(columns, schema=RECORD_SCHEMA)


def feedback_table(rows: Sequence[CopiedFeedback]) -> pa.Table:
    """Return feedback as columns, with what it is grouped by; comments stay in the row store."""
    columns: dict[str, list[object]] = {
        "owner_hash": [owner_hash(row.record.owner) for row in rows],
        "feedback_id": [row.event.feedback_id for row in rows],
        "response_id": [row.event.response_id for row in rows],
        "created_at": [_utc(row.record.created_at) for row in rows],
        "given_at": [_utc(row.event.timestamp) for row in rows],
        "feedback": [row.event.feedback for row in rows],
        "reason_code": [row.event.reason_code for row in rows],
        "value": [row.event.value for row in rows],
    }
    for name in _CONTEXT:
        column = FEEDBACK_SCHEMA.field(name)
        columns[name] = _cells(column, (getattr(row.record, name) for row in rows))
    return pa.table(columns, schema=FEEDBACK_SCHEMA)


def day_of(moment: datetime) -> str:
    """Return the UTC day of a time as it names a partition."""
    return moment.date().isoformat()


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _cells(column: pa.Field, values: Iterable[Any]) -> list[object]:
    if pa.types.is_map(column.type):
        return [list(value.items()) for value in values]
    if column.type == _MOMENT:
        return [_utc(value) for value in values]
    return list(values)
