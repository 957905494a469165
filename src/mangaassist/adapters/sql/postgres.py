"""The production engine: PostgreSQL through psycopg 3 and a connection pool.

Writes go through group-commit writers as pipelined transactions: one round trip for a whole batch, and one
flush for a durable one. Volatile writes have a writer of their own, so that a reservation never waits for
the flush of a turn. Reads take pooled connections on a few threads.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final, TypeVar

from mangaassist.adapters.sql.database import Parameter, Rows, Write
from mangaassist.adapters.sql.migrate import HEAD_REVISION, STORED_REVISION, upgrade_postgres
from mangaassist.adapters.sql.writer import GroupCommitWriter, Result
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyRejectedError,
    DependencyUnavailableError,
    InvalidRequestError,
    MangaAssistError,
)

try:
    import psycopg
    from psycopg.types.numeric import Int8Dumper
    from psycopg.types.string import TextLoader
    from psycopg_pool import ConnectionPool, PoolTimeout
except ImportError as error:
    raise ConfigurationError("`psycopg` is not installed; install the `postgres` extra") from error

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

MAX_CONNECTIONS: Final = 8
POOL_TIMEOUT_S: Final = 5.0
RETRY_AFTER_S: Final = (0.05, 0.25)
"""Pauses before the second and third attempt after a lost connection, a deadlock or a fail-over."""

SESSION_OPTIONS: Final = "-c statement_timeout=5s -c lock_timeout=5s -c TimeZone=UTC"

_WITHOUT_FLUSH: Final = "SET LOCAL synchronous_commit = off"

_MALFORMED: Final = (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError)
_DRIVER_ERRORS: Final = (psycopg.Error, PoolTimeout, UnicodeEncodeError)


class PostgresDatabase:
    """A `Database` on a server, shared by any number of machines."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._threads = ThreadPoolExecutor(MAX_CONNECTIONS - 2, thread_name_prefix="mangaassist-postgres")
        self._writer = GroupCommitWriter(PostgresBatches(self._attempt))
        self._volatile_writer = GroupCommitWriter(PostgresBatches(self._attempt))
        self._available = True
        self._probing = False
        self._closed = False

    @classmethod
    async def open(cls, url: str, *, pool_timeout_s: float = POOL_TIMEOUT_S) -> PostgresDatabase:
        """Connect, migrating the database first if needed."""
        conninfo = url.replace("postgresql+psycopg://", "postgresql://", 1)
        pool: ConnectionPool[Connection] = ConnectionPool(
            conninfo,
            min_size=1,
            max_size=MAX_CONNECTIONS,
            timeout=pool_timeout_s,
            open=False,
            configure=_configure,
            kwargs={
                "autocommit": True,
                "connect_timeout": 5,
                "application_name": "mangaassist",
                "options": SESSION_OPTIONS,
            },
        )
        try:
            await asyncio.to_thread(_migrate, conninfo)
            await asyncio.to_thread(pool.open, wait=True, timeout=pool_timeout_s)
        except _DRIVER_ERRORS as error:
            await asyncio.to_thread(pool.close)
            raise DependencyUnavailableError(f"cannot open the database: {error}") from error
        return cls(pool)

    async def read(self, statement: str, parameters: Mapping[str, Parameter]) -> Rows:
        """Query on a pooled connection, on a thread."""

        def query(connection: Connection) -> Rows:
            return connection.execute(translated_text(statement), parameters).fetchall()

        if self._closed:
            raise DependencyUnavailableError("the database is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._attempt, query)
        except _DRIVER_ERRORS as error:
            raise translated(error) from error

    async def write(self, write: Write[T]) -> T:
        """Commit in the next batch, flushed to disk."""
        return await self._writer.submit(write, durable=True)

    async def write_volatile(self, write: Write[T]) -> T:
        """Commit in the next volatile batch, without waiting for the flush."""
        return await self._volatile_writer.submit(write, durable=False)

    def healthy(self) -> bool:
        """Whether the last use worked; while it did not, every call asks again in the background."""
        if self._closed:
            return False
        if not self._available and not self._probing:
            self._probing = True
            self._threads.submit(self._probe)
        return self._available

    async def close(self) -> None:
        """Commit what is queued and close every connection."""
        if not self._closed:
            self._closed = True
            await asyncio.gather(self._writer.close(), self._volatile_writer.close())
            await asyncio.to_thread(self._threads.shutdown)
            await asyncio.to_thread(self._pool.close)

    def _attempt(self, use: Callable[[Connection], T]) -> T:
        """Use a connection; after losing it, use another. Everything stored here may be run twice."""
        for pause_s in (*RETRY_AFTER_S, None):
            try:
                with self._pool.connection() as connection:
                    answer = use(connection)
                self._available = True
                return answer
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if pause_s is None or isinstance(error, PoolTimeout):
                    self._available = False
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _probe(self) -> None:
        try:
            self._attempt(lambda connection: connection.execute("SELECT 1"))
        except _DRIVER_ERRORS:
            pass  # still down: `_attempt` has noted it
        finally:
            self._probing = False


class PostgresBatches:
    """Commits batches for the writer thread, each on whatever connection works."""

    def __init__(self, attempt: Callable[[Callable[[Connection], list[Result]]], list[Result]]) -> None:
        self._attempt = attempt

    def commit(self, writes: Sequence[Write[Any]], *, durable: bool) -> Sequence[Result]:
        """Commit all in one go; if one cannot be stored, each in a savepoint of its own."""
        order = sorted(range(len(writes)), key=lambda index: writes[index].lock_key)
        ordered = [writes[index] for index in order]
        try:
            try:
                done = self._attempt(lambda c: [*_transaction(c, ordered, durable=durable)])
            except _MALFORMED:
                done = self._attempt(lambda c: _isolated(c, ordered, durable=durable))
        except _DRIVER_ERRORS as error:
            return [_caused(error) for _ in writes]
        results: list[Result] = [[] for _ in writes]
        for index, result in zip(order, done, strict=True):
            results[index] = result
        return results

    def close(self) -> None:
        """Nothing to release: connections belong to the pool."""


def translated(error: Exception) -> MangaAssistError:
    """Return what a driver error means to the caller."""
    if isinstance(error, _MALFORMED):
        return InvalidRequestError(f"the database cannot store this value: {error}")
    if isinstance(error, psycopg.ProgrammingError | psycopg.NotSupportedError):
        return DependencyRejectedError(f"the database refused a statement: {error}")
    return DependencyUnavailableError(f"the database is not usable: {error}")


@lru_cache(maxsize=256)
def translated_text(statement: str) -> str:
    """Return the statement with psycopg's spelling of parameters."""
    return re.sub(r":(\w+)", r"%(\1)s", statement)


def _transaction(connection: Connection, writes: Sequence[Write[Any]], *, durable: bool) -> list[list[Rows]]:
    """Send every statement of every write in one pipeline, then read all answers."""
    with connection.pipeline(), connection.transaction():
        if not durable:
            connection.execute(_WITHOUT_FLUSH)
        cursors = [
            [connection.execute(translated_text(text), write.parameters) for text in write.statements]
            for write in writes
        ]
    return [[_rows(cursor) for cursor in of_write] for of_write in cursors]


def _isolated(connection: Connection, writes: Sequence[Write[Any]], *, durable: bool) -> list[Result]:
    """Commit the writes that can be stored; the others get their own error."""
    results: list[Result] = []
    with connection.transaction():
        if not durable:
            connection.execute(_WITHOUT_FLUSH)
        for write in writes:
            try:
                with connection.transaction():
                    cursors = [
                        connection.execute(translated_text(text), write.parameters)
                        for text in write.statements
                    ]
                    results.append([_rows(cursor) for cursor in cursors])
            except _MALFORMED as error:
                results.append(_caused(error))
    return results


def _rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Rows:
    return cursor.fetchall() if cursor.description else ()


def _caused(error: Exception) -> MangaAssistError:
    """Return the translation that names its cause, for a caller on another thread."""
    translation = translated(error)
    translation.__cause__ = error
    return translation


def _configure(connection: Connection) -> None:
    """One width for integers, so that a statement is prepared once; documents stay text."""
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_loader("jsonb", TextLoader)


def _migrate(conninfo: str) -> None:
    with psycopg.connect(conninfo, connect_timeout=5, autocommit=True) as connection:
        try:
            stored = connection.execute(STORED_REVISION).fetchone()
        except psycopg.errors.UndefinedTable:
            stored = None  # a new database
    if stored is None or stored[0] != HEAD_REVISION:
        upgrade_postgres(conninfo)
