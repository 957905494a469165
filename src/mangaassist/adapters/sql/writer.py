"""Group commit: one thread turns all writes that arrived meanwhile into one transaction and one fsync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeVar

from mangaassist.adapters.sql.database import Rows, Write
from mangaassist.domain.errors import DependencyUnavailableError

T = TypeVar("T")
Result = Sequence[Rows] | Exception
"""The rows of a committed write, or why it was not committed."""

MAX_BATCH: Final = 256
"""Bounds how long one transaction keeps other processes waiting."""


class BatchConnection(Protocol):
    """The connection that belongs to the writer thread; every method is called there."""

    def commit(self, writes: Sequence[Write[Any]], *, durable: bool) -> Sequence[Result]:
        """Commit the writes in one transaction; one that fails never takes others with it."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A queued write and who waits for it."""

    write: Write[Any]
    durable: bool
    done: asyncio.Future[Sequence[Rows]]


class GroupCommitWriter:
    """Queues writes of one event loop and resolves each after its commit.

    At most `capacity` writes wait; further callers are held back until there is room. Waiting for more
    writes to share an fsync is never worth it: they gather by themselves while the previous one runs.
    """

    def __init__(self, connection: BatchConnection, *, capacity: int = 1024) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(capacity)
        self._queue: SimpleQueue[_Pending | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="mangaassist-writer", daemon=True)
        self._thread.start()

    async def submit(self, write: Write[T], *, durable: bool) -> T:
        """Commit the write and return its outcome; a caller that gives up does not undo it."""
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise DependencyUnavailableError("the database is closed")
        done: asyncio.Future[Sequence[Rows]] = self._loop.create_future()
        self._queue.put(_Pending(write=write, durable=durable, done=done))
        return write.outcome(await done)

    async def close(self) -> None:
        """Commit what is queued, then stop; idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._take()
            # without an fsync to wait for, the volatile ones are acknowledged before the others commit
            for durable in (False, True):
                group = [pending for pending in batch if pending.durable is durable]
                if group:
                    self._commit(group, durable=durable)
        self._connection.close()

    def _take(self) -> tuple[list[_Pending], bool]:
        """Wait for a write, then take all that are there; False once closed."""
        batch: list[_Pending] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == MAX_BATCH:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _commit(self, group: list[_Pending], *, durable: bool) -> None:
        try:
            results = self._connection.commit([pending.write for pending in group], durable=durable)
        except Exception as error:  # the thread's boundary: every caller gets it, the thread lives on
            results = [error] * len(group)
        self._loop.call_soon_threadsafe(self._resolve, group, results)

    def _resolve(self, group: list[_Pending], results: Sequence[Result]) -> None:
        for pending, result in zip(group, results, strict=True):
            self._room.release()
            if pending.done.done():
                continue
            if isinstance(result, Exception):
                pending.done.set_exception(result)
            else:
                pending.done.set_result(result)
