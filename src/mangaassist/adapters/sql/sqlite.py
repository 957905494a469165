"""The embedded engine: one SQLite file in WAL mode, one writer thread, reads on the event loop.

A read is a few pages of memory (tens of microseconds), less than handing it to a thread and back would
cost, and in WAL mode it never waits for a writer; `benchmarks/storage.py` measures both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from mangaassist.adapters.sql.database import Parameter, Rows, Write
from mangaassist.adapters.sql.migrate import HEAD_REVISION, STORED_REVISION, upgrade_sqlite
from mangaassist.adapters.sql.writer import GroupCommitWriter, Result
from mangaassist.domain.errors import (
    DependencyRejectedError,
    DependencyUnavailableError,
    InvalidRequestError,
    MangaAssistError,
)

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 5_000
"""How long to wait for another process that is writing."""

CHECKPOINT_PAGES: Final = 4_000
"""The log is copied into the file whenever it holds about 16 MB."""

NEW_DATABASE: Final = Path(__file__).with_name("new_database.sql")
"""What the migrations build, ready to run: an empty file is set up without loading them."""

_MALFORMED: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    UnicodeEncodeError,
    OverflowError,
)
_DRIVER_ERRORS: Final = (sqlite3.Error, UnicodeEncodeError, OverflowError)


class SqliteDatabase:
    """A `Database` in one file, shared by any number of processes of one machine."""

    def __init__(self, path: Path, reader: sqlite3.Connection, batches: SqliteBatches) -> None:
        self._path = path
        self._reader = reader
        self._batches = batches
        self._writer = GroupCommitWriter(batches)
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> SqliteDatabase:
        """Open the file, creating or migrating it first if needed."""
        try:
            _create(path)
            await asyncio.to_thread(_migrate, path)
            batches = SqliteBatches(path)
            reader = _connect(path)
            reader.execute("PRAGMA query_only = ON")
        except (OSError, *_DRIVER_ERRORS) as error:
            raise DependencyUnavailableError(f"cannot open the database {str(path)!r}: {error}") from error
        return cls(path, reader, batches)

    async def read(self, statement: str, parameters: Mapping[str, Parameter]) -> Rows:
        """Query at once, on the calling thread."""
        try:
            return self._reader.execute(statement, parameters).fetchall()
        except _DRIVER_ERRORS as error:
            raise translated(error) from error

    async def write(self, write: Write[T]) -> T:
        """Commit with an fsync."""
        return await self._writer.submit(write, durable=True)

    async def write_volatile(self, write: Write[T]) -> T:
        """Commit to the operating system's cache: a killed process loses nothing, a power cut may."""
        return await self._writer.submit(write, durable=False)

    def healthy(self) -> bool:
        """Whether the file answers and the last commit was possible."""
        if self._closed or not self._batches.available:
            return False
        try:
            self._reader.execute("SELECT 1 FROM sessions LIMIT 1").fetchall()
        except sqlite3.Error:
            return False
        return True

    async def close(self) -> None:
        """Commit what is queued and close the file."""
        if not self._closed:
            self._closed = True
            await self._writer.close()
            self._reader.close()


class SqliteBatches:
    """The connection that writes; every commit takes the file's write lock once."""

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path)
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self._connection.execute("PRAGMA journal_size_limit = 67108864")
        self._durable: bool | None = None
        self.available = True

    def commit(self, writes: Sequence[Write[Any]], *, durable: bool) -> Sequence[Result]:
        """Commit all in one go; if one cannot be stored, each in a savepoint of its own."""
        try:
            self._synchronise(durable)
            try:
                results = self._transaction(writes, isolated=False)
            except _MALFORMED:
                results = self._transaction(writes, isolated=True)
        except _DRIVER_ERRORS as error:
            self.available = False
            return [_caused(error) for _ in writes]
        self.available = True
        return results

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _synchronise(self, durable: bool) -> None:
        """FULL: the commit returns after the log's fsync. NORMAL: only checkpoints sync."""
        if durable is not self._durable:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _transaction(self, writes: Sequence[Write[Any]], *, isolated: bool) -> list[Result]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            run = self._isolated if isolated else self._run
            results = [run(write) for write in writes]
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return results

    def _run(self, write: Write[Any]) -> Result:
        execute = self._connection.execute
        return [execute(statement, write.parameters).fetchall() for statement in write.statements]

    def _isolated(self, write: Write[Any]) -> Result:
        execute = self._connection.execute
        execute("SAVEPOINT one")
        try:
            return self._run(write)
        except _MALFORMED as error:
            execute("ROLLBACK TO one")
            return _caused(error)
        finally:
            if self._connection.in_transaction:
                execute("RELEASE one")


def translated(error: Exception) -> MangaAssistError:
    """Return what a driver error means to the caller."""
    if isinstance(error, _MALFORMED):
        return InvalidRequestError(f"the database cannot store this value: {error}")
    if isinstance(error, sqlite3.ProgrammingError):
        return DependencyRejectedError(f"the database refused a statement: {error}")
    return DependencyUnavailableError(f"the database is not usable: {error}")


def _caused(error: Exception) -> MangaAssistError:
    """Return the translation that names its cause, for a caller on another thread."""
    translation = translated(error)
    translation.__cause__ = error
    return translation


def _create(path: Path) -> None:
    """Create folder and file for their owner only; SQLite gives its log files the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # a file that exists must not be opened and closed here: that would drop this process's locks on it
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _migrate(path: Path) -> None:
    connection = _connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,):
            for statement in NEW_DATABASE.read_text().split(";\n\n"):
                connection.execute(statement)
        stored = connection.execute(STORED_REVISION).fetchone()
        connection.execute("COMMIT")
    finally:
        connection.close()
    if stored != (HEAD_REVISION,):
        upgrade_sqlite(path)
