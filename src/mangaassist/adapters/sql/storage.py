"""The stores on one database, opened by its URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from mangaassist.adapters.sql.budgets import SqlBudgetStore
from mangaassist.adapters.sql.contents import SqlContentStore, SqlCustomerKeys
from mangaassist.adapters.sql.copy_outbox import SqlCopyOutbox
from mangaassist.adapters.sql.database import Database
from mangaassist.adapters.sql.exposures import SqlExposureStore
from mangaassist.adapters.sql.feedback import SqlFeedbackStore
from mangaassist.adapters.sql.guardrail_reviews import SqlGuardrailReviews
from mangaassist.adapters.sql.outbox import SqlOutbox
from mangaassist.adapters.sql.records import SqlRequestRecords
from mangaassist.adapters.sql.sessions import SqlSessionStore
from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.clock import Clock, IdFactory

_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://", "postgresql+psycopg://")


class SqlStorage:
    """Sessions, feedback, budgets, records and the outbox of one database."""

    def __init__(self, database: Database, *, clock: Clock, ids: IdFactory) -> None:
        self._database, self._clock, self._ids = database, clock, ids
        self.sessions = SqlSessionStore(database)
        self.feedback = SqlFeedbackStore(database, clock=clock, ids=ids)
        self.budgets = SqlBudgetStore(database, clock=clock)
        self.exposures = SqlExposureStore(database)
        self.records = SqlRequestRecords(database)
        self.reviews = SqlGuardrailReviews(database, clock=clock)
        self.outbox = SqlOutbox(database)
        self.contents = SqlContentStore(database)
        self.copy_outbox = SqlCopyOutbox(database)

    @classmethod
    async def open(cls, url: str, *, clock: Clock, ids: IdFactory) -> SqlStorage:
        """Open `sqlite:///PATH` or `postgresql://..`, migrated; for use from this event loop."""
        return cls(await _open(url), clock=clock, ids=ids)

    def customer_keys(self, *, master_key: bytes, random_bytes: Callable[[int], bytes]) -> SqlCustomerKeys:
        """Return the customer keys, wrapped by `master_key` (32 bytes)."""
        return SqlCustomerKeys(
            self._database,
            master_key=master_key,
            clock=self._clock,
            ids=self._ids,
            random_bytes=random_bytes,
        )

    def healthy(self) -> bool:
        """Whether the database could be used last time; never blocks."""
        return self._database.healthy()

    async def close(self) -> None:
        """Finish what is queued, then release everything; idempotent."""
        await self._database.close()


async def _open(url: str) -> Database:
    """Open the engine that the URL asks for, importing only that one."""
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE) and ":memory:" not in url:
        from mangaassist.adapters.sql.sqlite import SqliteDatabase

        return await SqliteDatabase.open(Path(unquote(url.removeprefix(_SQLITE))))
    if url.startswith(_POSTGRES):
        from mangaassist.adapters.sql.postgres import PostgresDatabase

        return await PostgresDatabase.open(url)
    scheme = url.partition("://")[0]
    raise ConfigurationError(
        f"unknown database {scheme!r}; expected 'sqlite:///PATH' or 'postgresql://USER:PASSWORD@HOST/NAME'"
    )
