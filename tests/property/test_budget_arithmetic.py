"""Whatever the order of reserving, settling and waiting: the ledger of SQLite adds up as the model's does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.domain.budget import BudgetPolicy, Reservation
from tests.support.clock import FakeClock, SequentialIds
from tests.support.memory_stores import InMemoryBudgetStore

TOKENS = st.integers(min_value=0, max_value=5_000)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_the_ledger_of_the_database_is_the_model_ledger(tmp_path: Path, runner: asyncio.Runner) -> None:
    clock = FakeClock()
    storage = runner.run(SqlStorage.open(f"sqlite:///{tmp_path / 'b.db'}", clock=clock, ids=SequentialIds()))
    numbers = itertools.count(1)

    class Ledgers(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = InMemoryBudgetStore(clock)
            self.session_id = f"ses_{next(numbers)}"
            self.known: list[Reservation] = []
            self.limit_tokens = 0
            self.overrun = False

        @rule(
            limit=st.integers(min_value=1, max_value=20_000),
            ratio=st.floats(min_value=0, max_value=1),
            full=TOKENS,
            reduced=TOKENS,
        )
        def reserve(self, limit: int, ratio: float, full: int, reduced: int) -> None:
            policy = BudgetPolicy(
                limit_tokens=limit,
                reduced_below_ratio=ratio,
                full_reservation_tokens=full,
                reduced_reservation_tokens=reduced,
            )
            self.same_answer(f"r{next(numbers)}", policy)
            self.limit_tokens = max(self.limit_tokens, limit)

        @rule(data=st.data(), used=st.integers(min_value=0, max_value=6_000))
        def settle(self, data: st.DataObject, used: int) -> None:
            if self.known:
                reservation = data.draw(st.sampled_from(self.known))
                runner.run(storage.budgets.settle(reservation, used_tokens=used))
                runner.run(self.model.settle(reservation, used_tokens=used))
                expired = self.expired(reservation)
                self.overrun = self.overrun or used > reservation.reserved_tokens or expired

        @rule(seconds=st.sampled_from([1, 150, 299, 300]))
        def wait(self, seconds: int) -> None:
            clock.advance(seconds)

        @invariant()
        def never_over_the_limit(self) -> None:
            """Only usage above its reservation, or after its expiry, can take a session over its limit."""
            ledger = self.model.ledgers.get(self.session_id, {})
            total = sum(entry.tokens(clock.now()) for entry in ledger.values())
            assert self.overrun or total <= self.limit_tokens

        def same_answer(self, reservation_id: str, policy: BudgetPolicy) -> None:
            stored = runner.run(storage.budgets.reserve(self.session_id, reservation_id, policy))
            assert stored == runner.run(self.model.reserve(self.session_id, reservation_id, policy))
            self.known.append(stored)

        def expired(self, reservation: Reservation) -> bool:
            entry = self.model.ledgers[self.session_id].get(reservation.reservation_id)
            return entry is not None and entry.expires_at <= clock.now()

    try:
        run_state_machine_as_test(
            Ledgers,
            settings=settings(
                max_examples=60,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        runner.run(storage.close())
