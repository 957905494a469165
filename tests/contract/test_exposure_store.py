"""What every exposure store promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mangaassist.domain.experiments import Exposure
from tests.support.stored import MOMENT, make_feedback, make_write
from tests.support.stores import BACKENDS, Stores, open_stores


@pytest.fixture(params=BACKENDS)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(request, tmp_path) as stores:
        yield stores


def exposure(unit_id: str = "ses_1", *, arm: str = "treatment", phase: int = 1, minutes: int = 0) -> Exposure:
    return Exposure(
        experiment="tone",
        phase=phase,
        unit_id=unit_id,
        arm=arm,
        release_bundle="bundle-1",
        exposed_at=MOMENT + timedelta(minutes=minutes),
    )


async def test_exposures_come_back_by_phase_and_unit(stores: Stores) -> None:
    later, other, first = exposure("b", phase=2), exposure("b"), exposure("a")
    await stores.exposures.record([later, other])
    await stores.exposures.record([first, replace(first, experiment="price")])

    assert await stores.exposures.of_experiment("tone") == (first, other, later)
    assert await stores.exposures.of_experiment("unknown") == ()


async def test_the_first_exposure_of_a_unit_in_a_phase_stays(stores: Stores) -> None:
    first = exposure(arm="control")
    await stores.exposures.record([first])

    await stores.exposures.record([exposure(arm="treatment", minutes=5)])
    await stores.exposures.record([first])

    assert await stores.exposures.of_experiment("tone") == (first,)


async def test_answers_come_with_the_exposure_of_their_unit_and_all_feedback(stores: Stores) -> None:
    await stores.exposures.record([exposure("ses_1"), exposure("C-7", arm="control")])
    for number, (session, owner) in enumerate(
        [("ses_1", "visitor:1"), ("ses_2", "visitor:2"), ("ses_3", "customer:C-7"), ("ses_4", "customer:C-7")]
    ):
        moment = MOMENT + timedelta(minutes=number)
        await stores.sessions.append(
            make_write(f"res_{number}", session_id=session, owner=owner, created_at=moment)
        )
    await stores.feedback.add(make_feedback("res_0"), owner="visitor:1")
    await stores.feedback.add(
        make_feedback("res_0", feedback_id="fb_2", feedback="escalation"), owner="visitor:1"
    )

    found = await stores.exposures.answers("tone", since=MOMENT - timedelta(days=1), limit=10)

    assert [(one.record.response_id, one.exposure.unit_id, one.exposure.arm) for one in found] == [
        ("res_0", "ses_1", "treatment"),
        ("res_2", "C-7", "control"),
        ("res_3", "C-7", "control"),
    ]
    assert [one.feedback for one in found] == [{"thumbs_down", "escalation"}, frozenset(), frozenset()]
    assert found[0].record == await stores.sessions.record("res_0")


async def test_pages_follow_each_other_without_gap_or_repetition(stores: Stores) -> None:
    await stores.exposures.record([exposure()])
    for number in range(7):
        moment = MOMENT + timedelta(minutes=number // 3)  # some share a moment
        await stores.sessions.append(make_write(f"res_{number}", created_at=moment))
        await stores.feedback.add(make_feedback(f"res_{number}", feedback_id=f"a{number}"), owner="visitor:1")

    seen: list[str] = []
    since, after = MOMENT, ""
    while page := await stores.exposures.answers("tone", since=since, after=after, limit=2):
        assert len(page) <= 2
        seen += [one.record.response_id for one in page]
        since, after = page[-1].record.created_at, page[-1].record.response_id

    assert seen == [f"res_{number}" for number in range(7)]


async def test_a_unit_is_read_in_the_phase_that_met_it_first(stores: Stores) -> None:
    first, second = exposure(arm="control"), exposure(arm="treatment", phase=2, minutes=60)
    await stores.exposures.record([second, first])
    await stores.sessions.append(make_write("res_1", created_at=MOMENT + timedelta(hours=2)))

    (found,) = await stores.exposures.answers("tone", since=MOMENT, limit=10)

    assert found.exposure == first


async def test_behaviour_before_the_exposure_is_told_apart(stores: Stores) -> None:
    await stores.exposures.record([exposure(minutes=10)])
    for number, minutes in enumerate((0, 10, 20)):
        moment = MOMENT + timedelta(minutes=minutes)
        await stores.sessions.append(make_write(f"res_{number}", created_at=moment))

    found = await stores.exposures.answers("tone", since=MOMENT, limit=10)

    assert [one.before_exposure for one in found] == [True, False, False]
