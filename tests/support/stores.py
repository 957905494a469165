"""The stores of one test, whatever they are built on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.ports.budgets import BudgetStore
from mangaassist.ports.experiments import ExposureStore
from mangaassist.ports.feedback import FeedbackStore
from mangaassist.ports.sessions import SessionStore
from tests.support.clock import FakeClock, SequentialIds
from tests.support.memory_stores import (
    InMemoryBudgetStore,
    InMemoryExposureStore,
    InMemoryFeedbackStore,
    InMemorySessionStore,
)
from tests.support.postgres import PostgresForTests

BACKENDS = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@dataclass(frozen=True)
class Stores:
    sessions: SessionStore
    feedback: FeedbackStore
    budgets: BudgetStore
    exposures: ExposureStore
    clock: FakeClock


@asynccontextmanager
async def open_stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """Open the stores that the fixture's parameter names."""
    clock = FakeClock()
    if request.param == "memory":
        sessions = InMemorySessionStore()
        feedback = InMemoryFeedbackStore(sessions)
        exposures = InMemoryExposureStore(sessions, feedback)
        yield Stores(sessions, feedback, InMemoryBudgetStore(clock), exposures, clock)
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'mangaassist.db'}"
    else:
        server: PostgresForTests = request.getfixturevalue("postgres")
        url = server.new_database()
    storage = await SqlStorage.open(url, clock=clock, ids=SequentialIds())
    yield Stores(storage.sessions, storage.feedback, storage.budgets, storage.exposures, clock)
    await storage.close()
