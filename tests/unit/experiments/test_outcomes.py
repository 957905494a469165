"""From stored answers to observations: whose answers count, in which phase, and as what."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mangaassist.control.experiments.outcomes import OUTCOMES, declared, outcome_of, write_observations
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Arm, Experiment, Exposure, Phase, allot
from mangaassist.domain.feedback import FeedbackValue
from tests.support.memory_stores import InMemoryExposureStore, InMemoryFeedbackStore, InMemorySessionStore
from tests.support.stored import make_feedback, make_write

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SHARES = {"control": 0.5, "treatment": 0.5}


class Shop:
    """Stores in memory, and what happens in them."""

    def __init__(self, *metrics: str, phases: int = 1, stopped_at: datetime | None = None) -> None:
        self.sessions = InMemorySessionStore()
        self.feedback = InMemoryFeedbackStore(self.sessions)
        self.exposures = InMemoryExposureStore(self.sessions, self.feedback)
        self.experiment = Experiment(
            key="tone",
            hypothesis="",
            status="running",
            arms=tuple(
                Arm(name=name, buckets=parts) for name, parts in allot(SHARES, control="control").items()
            ),
            metrics=tuple(declared(name, role="secondary") for name in metrics),
            phases=tuple(
                Phase(number=number + 1, started_at=START + number * 10 * DAY, shares=SHARES)
                for number in range(phases)
            ),
            stopped_at=stopped_at,
        )

    async def met(self, unit: str, at: datetime, *, arm: str = "control", phase: int = 1) -> None:
        await self.exposures.record(
            [
                Exposure(
                    experiment="tone", phase=phase, unit_id=unit, arm=arm, release_bundle="b", exposed_at=at
                )
            ]
        )

    async def answered(
        self, unit: str, at: datetime, *given: FeedbackValue, owner: str | None = None, **record: Any
    ) -> None:
        response = f"res_{len(self.sessions.records)}"
        owner = owner or f"visitor:{unit}"
        write = make_write(response, session_id=unit, owner=owner, created_at=at)
        await self.sessions.append(replace(write, record=replace(write.record, **record)))
        for number, value in enumerate(given):
            event = make_feedback(response, feedback_id=f"fb_{response}_{number}", feedback=value)
            await self.feedback.add(event, owner=owner)

    async def observations(self, folder: Path) -> list[dict[str, Any]]:
        path = folder / "observations.jsonl"
        count = await write_observations(
            self.exposures, self.experiment, path, now=START + timedelta(days=25)
        )
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(rows) == count
        return rows


async def test_answers_become_rows_with_a_value_for_every_metric(tmp_path: Path) -> None:
    shop = Shop("thumbs_up_rate", "escalation_rate", "cart_add_rate", "cost_usd", "guardrail_score:toxicity")
    await shop.met("s1", START, arm="treatment")
    await shop.answered("s1", START + DAY, "thumbs_up", "cart_add", cost_usd=0.01)
    await shop.answered("s1", START + 2 * DAY, "thumbs_down", "escalation", intent="faq")
    await shop.answered("s1", START + 3 * DAY, intent="escalation", guardrail_scores={})

    rows = await shop.observations(tmp_path)

    assert [(row["unit"], row["arm"], row["phase"], row["intent"]) for row in rows] == [
        ("s1", "treatment", 1, "recommendation"),
        ("s1", "treatment", 1, "faq"),
        ("s1", "treatment", 1, "escalation"),
    ]
    assert [row["thumbs_up_rate"] for row in rows] == [1.0, 0.0, None]
    assert [row["escalation_rate"] for row in rows] == [0.0, 1.0, 1.0]
    assert [row["cart_add_rate"] for row in rows] == [1.0, 0.0, 0.0]
    assert [row["cost_usd"] for row in rows] == [0.01, None, None]
    assert [row["guardrail_score:toxicity"] for row in rows] == [0.25, 0.25, None]


async def test_a_unit_stays_in_the_phase_that_met_it_until_that_ends(tmp_path: Path) -> None:
    shop = Shop("latency_ms", phases=2)
    await shop.met("returning", START, arm="control")
    await shop.met("returning", START + 11 * DAY, arm="treatment", phase=2)  # its bucket moved
    await shop.met("fresh", START + 12 * DAY, arm="treatment", phase=2)
    for unit in ("returning", "fresh"):
        for day in (1, 12, 13):
            await shop.answered(unit, START + day * DAY, latency_ms=float(day))

    rows = await shop.observations(tmp_path)

    found = [(row["unit"], row["arm"], row["phase"], row["latency_ms"]) for row in rows]
    assert found == [
        ("returning", "control", 1, 1.0),  # and nothing of phase 2, where it was in another arm
        ("fresh", "treatment", 2, 12.0),
        ("fresh", "treatment", 2, 13.0),
    ]


async def test_what_a_unit_did_before_is_its_covariate(tmp_path: Path) -> None:
    shop = Shop("latency_ms", "thumbs_up_rate")
    owner = "customer:C-1"
    await shop.answered("before_1", START - 2 * DAY, "thumbs_up", owner=owner, latency_ms=100.0)
    await shop.answered("before_2", START - DAY, owner=owner, latency_ms=300.0)
    await shop.answered("long_ago", START - 60 * DAY, owner=owner, latency_ms=9_000.0)
    await shop.met("C-1", START)
    await shop.answered("after", START + DAY, owner=owner, latency_ms=50.0)

    (row,) = await shop.observations(tmp_path)

    assert (row["unit"], row["latency_ms"]) == ("C-1", 50.0)
    assert (row["pre_latency_ms"], row["pre_thumbs_up_rate"]) == (200.0, 1.0)


async def test_units_without_an_answer_keep_a_row_without_values(tmp_path: Path) -> None:
    shop = Shop("fallback_rate", "continuation_rate")
    await shop.met("left_alone", START, arm="treatment")
    await shop.met("answered", START)
    await shop.answered("answered", START + DAY)

    rows = {row["unit"]: row for row in await shop.observations(tmp_path)}

    assert rows["left_alone"]["arm"] == "treatment"
    assert rows["left_alone"]["fallback_rate"] is None
    assert shop.experiment.metrics[0].absent == 1.0  # and is counted as failed


async def test_asking_again_is_counted_by_unit(tmp_path: Path) -> None:
    shop = Shop("continuation_rate")
    for unit, turns in (("once", 1), ("thrice", 3)):
        await shop.met(unit, START)
        for turn in range(turns):
            await shop.answered(unit, START + (turn + 1) * DAY)

    rows = await shop.observations(tmp_path)

    assert sum(row["continuation_rate"] for row in rows) == 1
    assert sum(row["continuation_rate_of"] for row in rows) == 2


async def test_nothing_counts_after_the_stop(tmp_path: Path) -> None:
    shop = Shop("latency_ms", stopped_at=START + 5 * DAY)
    await shop.met("s1", START)
    await shop.answered("s1", START + 4 * DAY)
    await shop.answered("s1", START + 6 * DAY)

    assert len(await shop.observations(tmp_path)) == 1


async def test_more_answers_than_a_page_are_all_read(tmp_path: Path) -> None:
    shop = Shop("latency_ms")
    await shop.met("s1", START)
    for number in range(2_050):
        await shop.answered("s1", START + timedelta(minutes=number + 1))

    assert len(await shop.observations(tmp_path)) == 2_050


def test_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(
        InvalidRequestError, match=r"'charm'; known: thumbs_up_rate, .*guardrail_score:<stage>"
    ):
        outcome_of("charm")


def test_every_known_metric_can_be_declared() -> None:
    for name, outcome in OUTCOMES.items():
        metric = declared(name, role="primary", margin=0.1)
        assert (metric.kind, metric.better, metric.absent) == (outcome.kind, outcome.better, outcome.absent)
        assert (metric.denominator is None) is (outcome.of is None)
