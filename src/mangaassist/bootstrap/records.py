"""The columnar copy of this installation: filling it, building it anew, asking it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mangaassist.adapters.columnar.analytics import DuckDbAnalytics
from mangaassist.adapters.columnar.columns import CopiedFeedback
from mangaassist.adapters.columnar.copy import ColumnarCopy, CopyGeneration
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.settings import Settings
from mangaassist.ports.clock import Clock

BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """What one pass did."""

    records: int
    feedback: int
    merged_files: int = 0


def columnar_copy(settings: Settings) -> ColumnarCopy:
    """Return the copy in the data directory."""
    return ColumnarCopy(settings.data_dir / "columnar")


async def copy_pending(
    storage: SqlStorage,
    copy: ColumnarCopy,
    *,
    clock: Clock,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> CopyReport:
    """Copy everything that waits; raises `DependencyUnavailableError` while another process does."""
    with copy.locked():
        report = await _fill(storage, copy.generation(), on_rows)
        generation = copy.generation()
        merged = await asyncio.to_thread(generation.merge_small_files)
        await asyncio.to_thread(generation.sweep, clock.now().timestamp())
    return CopyReport(records=report.records, feedback=report.feedback, merged_files=merged)


async def rebuild_copy(
    storage: SqlStorage, copy: ColumnarCopy, *, on_rows: Callable[[int], None] = lambda rows: None
) -> CopyReport:
    """Build the copy anew from the row store; the old one is read until the new one is whole."""
    with copy.locked():
        generation = copy.begin_rebuild()
        await storage.copy_outbox.refill()
        report = await _fill(storage, generation, on_rows)
        await asyncio.to_thread(generation.merge_small_files)
        copy.publish(generation)
    return report


@contextmanager
def opened_analytics(settings: Settings) -> Iterator[DuckDbAnalytics]:
    """Open the copy for questions."""
    with DuckDbAnalytics(columnar_copy(settings)) as analytics:
        yield analytics


async def _fill(
    storage: SqlStorage, generation: CopyGeneration, on_rows: Callable[[int], None]
) -> CopyReport:
    await _settle(storage, generation)
    records = feedback = 0
    while True:
        some = await storage.copy_outbox.records(limit=BATCH_ROWS)
        said = [
            CopiedFeedback(event=event, record=record)
            for event, record in await storage.copy_outbox.feedback(limit=BATCH_ROWS)
        ]
        if not some and not said:
            return CopyReport(records=records, feedback=feedback)
        await asyncio.to_thread(generation.add, some, said)
        await _settle(storage, generation)
        records, feedback = records + len(some), feedback + len(said)
        on_rows(records + feedback)


async def _settle(storage: SqlStorage, generation: CopyGeneration) -> None:
    """Take out of the outbox what the manifest names, also after a pass that was killed."""
    unconfirmed = generation.manifest().unconfirmed
    await storage.copy_outbox.done("record", unconfirmed.get("record", ()))
    await storage.copy_outbox.done("feedback", unconfirmed.get("feedback", ()))
    generation.confirm()
