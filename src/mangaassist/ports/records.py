"""Request records, read by whoever explains, monitors or bills answers."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from mangaassist.domain.records import RequestRecord


class RequestRecords(Protocol):
    """Reads what every answer wrote.

    Every implementation promises: what was acknowledged is found at once; `find` and `of_owner` take
    milliseconds however many records there are.
    """

    async def find(self, identifier: str, *, limit: int = 20) -> tuple[RequestRecord, ...]:
        """Return the records of a response, trace, session or feedback id, newest first."""
        ...

    async def of_owner(self, owner: str, *, limit: int = 100) -> tuple[RequestRecord, ...]:
        """Return the records of one customer or visitor, newest first."""
        ...

    async def between(
        self, since: datetime, until: datetime, *, limit: int, intent: str | None = None
    ) -> tuple[RequestRecord, ...]:
        """Return the records of a time, `until` excluded, newest first."""
        ...
