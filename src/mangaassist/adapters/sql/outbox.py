"""What still has to be carried elsewhere, stored with what caused it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from mangaassist.adapters.sql.database import Database, Write, moment_of

_PENDING: Final = (
    "SELECT id, kind, payload, created_at FROM outbox WHERE id > :after ORDER BY id LIMIT :limit"
)
_DONE: Final = ("DELETE FROM outbox WHERE id = :id",)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxItem:
    """One thing to carry; `payload` names what it is about."""

    item_id: str
    kind: str
    payload: Mapping[str, str]
    created_at: datetime


class SqlOutbox:
    """Hands items to the worker at least once: one that is carried but not yet done comes again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(self, *, limit: int, after: str = "") -> tuple[OutboxItem, ...]:
        """Return the oldest items; with `after`, those that follow the item of that id."""
        rows = await self._database.read(_PENDING, {"limit": limit, "after": after})
        return tuple(
            OutboxItem(
                item_id=row[0], kind=row[1], payload=orjson.loads(row[2]), created_at=moment_of(row[3])
            )
            for row in rows
        )

    async def done(self, item_id: str) -> None:
        """Forget an item; forgetting it again changes nothing."""
        await self._database.write(
            Write(
                statements=_DONE, parameters={"id": item_id}, lock_key=item_id, outcome=lambda results: None
            )
        )
