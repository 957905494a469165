"""What every budget store promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mangaassist.domain.budget import BudgetPolicy, Reservation
from tests.support.stores import BACKENDS, Stores, open_stores

POLICY = BudgetPolicy(
    limit_tokens=10_000,
    reduced_below_ratio=0.25,
    full_reservation_tokens=3_000,
    reduced_reservation_tokens=1_000,
)


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(request, tmp_path) as stores:
        yield stores


async def test_the_largest_amount_that_fits_is_reserved(stores: Stores) -> None:
    granted = [await stores.budgets.reserve("ses_1", f"r{number}", POLICY) for number in range(5)]

    assert [(one.level, one.reserved_tokens, one.remaining_tokens) for one in granted] == [
        ("full", 3_000, 7_000),
        ("full", 3_000, 4_000),
        ("full", 3_000, 1_000),
        ("reduced", 1_000, 0),
        ("minimal", 0, 0),
    ]


async def test_below_the_ratio_reservations_are_reduced(stores: Stores) -> None:
    policy = BudgetPolicy(
        limit_tokens=10_000,
        reduced_below_ratio=0.5,
        full_reservation_tokens=3_000,
        reduced_reservation_tokens=1_000,
    )
    levels = [(await stores.budgets.reserve("ses_1", f"r{number}", policy)).level for number in range(3)]

    assert levels == ["full", "full", "reduced"]  # 10,000 and 7,000 left, then 4,000


async def test_settling_replaces_the_reservation_by_the_usage_once(stores: Stores) -> None:
    reservation = await stores.budgets.reserve("ses_1", "r1", POLICY)

    await stores.budgets.settle(reservation, used_tokens=500)
    await stores.budgets.settle(reservation, used_tokens=500)
    await stores.budgets.settle(reservation, used_tokens=9_000)

    assert await _remaining(stores) == 9_500


async def test_usage_above_the_reservation_is_booked_in_full(stores: Stores) -> None:
    reservation = await stores.budgets.reserve("ses_1", "r1", POLICY)

    await stores.budgets.settle(reservation, used_tokens=9_999)

    last = await stores.budgets.reserve("ses_1", "r2", POLICY)
    assert (last.level, last.remaining_tokens) == ("minimal", 1)


async def test_usage_of_a_minimal_answer_is_booked_once(stores: Stores) -> None:
    big = await stores.budgets.reserve("ses_1", "r1", POLICY)
    await stores.budgets.settle(big, used_tokens=9_500)
    minimal = await stores.budgets.reserve("ses_1", "r2", POLICY)

    await stores.budgets.settle(minimal, used_tokens=200)
    await stores.budgets.settle(minimal, used_tokens=200)

    assert minimal.level == "minimal"
    assert await _remaining(stores) == 300


async def test_an_abandoned_reservation_counts_until_it_expires(stores: Stores) -> None:
    abandoned = await stores.budgets.reserve("ses_1", "r1", POLICY)
    stores.clock.advance(299)
    assert await _remaining(stores) == 7_000
    stores.clock.advance(1)
    assert await _remaining(stores) == 10_000

    await stores.budgets.settle(abandoned, used_tokens=700)
    assert await _remaining(stores) == 9_300


async def test_the_same_reservation_again_reserves_nothing_more(stores: Stores) -> None:
    first = await stores.budgets.reserve("ses_1", "r1", POLICY)

    assert await stores.budgets.reserve("ses_1", "r1", POLICY) == first


async def test_sessions_do_not_share_a_budget(stores: Stores) -> None:
    for number in range(10):
        await stores.budgets.reserve("ses_1", f"r{number}", POLICY)

    assert (await stores.budgets.reserve("ses_2", "other", POLICY)).remaining_tokens == 7_000


async def test_a_thousand_parallel_reservations_never_exceed_the_limit(stores: Stores) -> None:
    policy = BudgetPolicy(
        limit_tokens=40_000, full_reservation_tokens=3_000, reduced_reservation_tokens=1_200
    )

    granted = await asyncio.gather(
        *(stores.budgets.reserve("ses_1", f"r{number}", policy) for number in range(1_000))
    )

    total = sum(one.reserved_tokens for one in granted)
    assert total <= 40_000
    assert total > 40_000 - 1_200  # and nothing that fits was refused
    assert sum(one.level == "minimal" for one in granted) > 900


async def test_parallel_settlements_of_one_reservation_book_it_once(stores: Stores) -> None:
    reservation = await stores.budgets.reserve("ses_1", "r1", POLICY)

    await asyncio.gather(*(stores.budgets.settle(reservation, used_tokens=100) for _ in range(50)))

    assert await _remaining(stores) == 9_900


async def _remaining(stores: Stores) -> int:
    """Ask without reserving: nothing as large as this reservation ever fits."""
    probe = BudgetPolicy(
        limit_tokens=POLICY.limit_tokens,
        full_reservation_tokens=10**9,
        reduced_reservation_tokens=10**9,
    )
    answer: Reservation = await stores.budgets.reserve("ses_1", "probe", probe)
    return answer.remaining_tokens
