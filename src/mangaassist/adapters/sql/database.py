"""What a store asks of an engine: statements, in one transaction, that decide for themselves.

A write is a list of statements whose conditions are part of their SQL, so that no answer has to be
read before the next one is sent: a whole batch of writes is one round trip, and running a write twice
is harmless. The SQL text is the same on both engines; parameters are written `:name`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
Parameter = str | int | float | bool | bytes | None
Row = tuple[Any, ...]
"""One row as the driver gives it; read only by the store that wrote the statement."""

Rows = Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Generic[T]):
    """Statements of one transaction; every one may use any of the parameters.

    `outcome` turns the rows of each statement into the answer, after the commit; it may raise a
    `MangaAssistError` for a write that its own conditions refused. Writes that may lock the same rows
    share `lock_key`: a batch takes its locks in that order, so that two processes never wait in a ring.
    """

    statements: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    lock_key: str
    outcome: Callable[[Sequence[Rows]], T]


class Database(Protocol):
    """One open database, used from the event loop that opened it.

    Every engine promises: driver errors leave as `DependencyUnavailableError` (the database),
    `InvalidRequestError` (a value it cannot store) or `DependencyRejectedError` (a statement it refuses).
    """

    async def read(self, statement: str, parameters: Mapping[str, Parameter]) -> Rows:
        """Return the rows of one query on committed data."""
        ...

    async def write(self, write: Write[T]) -> T:
        """Commit durably, together with whatever else is waiting."""
        ...

    async def write_volatile(self, write: Write[T]) -> T:
        """Commit for every process to see at once; only a crash of the machine may undo it."""
        ...

    def healthy(self) -> bool:
        """Whether the database could be used last time; never blocks."""
        ...

    async def close(self) -> None:
        """Finish what is queued, then release everything; idempotent."""
        ...


def timestamp(moment: datetime) -> str:
    """Return the stored form of a time: UTC, fixed width, so that text sorts as time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(stored: str | datetime) -> datetime:
    """Return the time of a stored value: text on SQLite, a datetime on PostgreSQL."""
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return moment.astimezone(UTC)
