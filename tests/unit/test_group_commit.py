"""The group-commit writer, with a connection under the test's control."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from mangaassist.adapters.sql.database import Rows, Write
from mangaassist.adapters.sql.writer import MAX_BATCH, GroupCommitWriter, Result
from mangaassist.domain.errors import ConflictError, DependencyUnavailableError


class GatedConnection:
    """Notes every batch and commits it when the gate is open."""

    def __init__(self) -> None:
        self.batches: list[tuple[bool, list[str]]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.broken = False
        self.closed = False

    def commit(self, writes: Sequence[Write[Any]], *, durable: bool) -> Sequence[Result]:
        self.batches.append((durable, [write.lock_key for write in writes]))
        self.entered.set()
        self.gate.wait()
        if self.broken:
            raise RuntimeError("a defect")
        return [
            ConflictError("refused") if write.lock_key == "refused" else [[(write.lock_key,)]]
            for write in writes
        ]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
async def connection() -> AsyncIterator[GatedConnection]:
    connection = GatedConnection()
    yield connection
    connection.gate.set()


def named(key: str) -> Write[str]:
    def outcome(results: Sequence[Rows]) -> str:
        return str(results[0][0][0])

    return Write(statements=(), parameters={}, lock_key=key, outcome=outcome)


async def held(writer: GroupCommitWriter, connection: GatedConnection) -> asyncio.Future[str]:
    """Submit a first write and wait until the writer is busy with it."""
    first = asyncio.ensure_future(writer.submit(named("first"), durable=True))
    await asyncio.to_thread(connection.entered.wait)
    return first


async def test_writes_that_arrive_during_a_commit_share_the_next_one(connection: GatedConnection) -> None:
    writer = GroupCommitWriter(connection)
    first = await held(writer, connection)
    others = [asyncio.ensure_future(writer.submit(named(f"w{n}"), durable=True)) for n in range(5)]
    await asyncio.sleep(0)

    connection.gate.set()

    assert await asyncio.gather(first, *others) == ["first", "w0", "w1", "w2", "w3", "w4"]
    assert connection.batches == [(True, ["first"]), (True, ["w0", "w1", "w2", "w3", "w4"])]
    await writer.close()
    assert connection.closed


async def test_volatile_writes_are_committed_before_the_durable_ones(connection: GatedConnection) -> None:
    writer = GroupCommitWriter(connection)
    first = await held(writer, connection)
    turn = asyncio.ensure_future(writer.submit(named("turn"), durable=True))
    budget = asyncio.ensure_future(writer.submit(named("budget"), durable=False))
    await asyncio.sleep(0)

    connection.gate.set()
    await asyncio.gather(first, turn, budget)

    assert connection.batches[1:] == [(False, ["budget"]), (True, ["turn"])]
    await writer.close()


async def test_a_refused_write_fails_alone(connection: GatedConnection) -> None:
    writer = GroupCommitWriter(connection)
    connection.gate.set()

    good, refused = await asyncio.gather(
        writer.submit(named("good"), durable=True),
        writer.submit(named("refused"), durable=True),
        return_exceptions=True,
    )

    assert good == "good"
    assert isinstance(refused, ConflictError)
    await writer.close()


async def test_a_defect_in_the_connection_reaches_the_caller_and_the_writer_lives_on(
    connection: GatedConnection,
) -> None:
    writer = GroupCommitWriter(connection)
    connection.gate.set()
    connection.broken = True
    with pytest.raises(RuntimeError, match="a defect"):
        await writer.submit(named("one"), durable=True)

    connection.broken = False

    assert await writer.submit(named("two"), durable=True) == "two"
    await writer.close()


async def test_a_full_queue_holds_callers_back(connection: GatedConnection) -> None:
    writer = GroupCommitWriter(connection, capacity=3)
    first = await held(writer, connection)
    others = [asyncio.ensure_future(writer.submit(named(f"w{n}"), durable=True)) for n in range(4)]
    await asyncio.sleep(0)

    connection.gate.set()
    await asyncio.gather(first, *others)

    assert connection.batches[1] == (True, ["w0", "w1"])  # two beside the first; the others had to wait
    await writer.close()


async def test_a_batch_is_bounded(connection: GatedConnection) -> None:
    writer = GroupCommitWriter(connection)
    first = await held(writer, connection)
    others = [
        asyncio.ensure_future(writer.submit(named(f"w{n}"), durable=True)) for n in range(MAX_BATCH + 10)
    ]
    await asyncio.sleep(0)

    connection.gate.set()
    await asyncio.gather(first, *others)

    assert [len(keys) for _, keys in connection.batches] == [1, MAX_BATCH, 10]
    await writer.close()


async def test_a_caller_that_gives_up_does_not_undo_its_write(connection: GatedConnection) -> None:
    writer = GroupCommitWriter(connection)
    first = await held(writer, connection)
    impatient = asyncio.ensure_future(writer.submit(named("impatient"), durable=True))
    await asyncio.sleep(0)
    impatient.cancel()

    connection.gate.set()
    await first
    await writer.close()

    assert connection.batches[1:] == [(True, ["impatient"])]


async def test_a_closed_writer_takes_nothing_more(connection: GatedConnection) -> None:
    writer = GroupCommitWriter(connection)
    connection.gate.set()
    await writer.close()

    with pytest.raises(DependencyUnavailableError):
        await writer.submit(named("late"), durable=True)
