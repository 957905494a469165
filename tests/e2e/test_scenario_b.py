"""Scenario B of the evaluation document: Claude 3.5 Sonnet v1 against v2, three days, 10 % of traffic on v2.

The document's figures contradict themselves (an effect of 0.02 with t = 3.2 at 45,000 answers an arm needs a
standard deviation of 0.94 on a score between 0 and 1; 10 % of traffic cannot give equal arms), so the truth
here is our own: a fifth of 14,000 sessions takes part, half of it with each version (`TRUTH`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.experiments import analyse_experiment, change_plan
from mangaassist.bootstrap.settings import Settings
from mangaassist.control.experiments.analysis import Analysis
from mangaassist.control.experiments.decision import Decision
from mangaassist.control.experiments.effects import MetricEffect
from mangaassist.control.experiments.lifecycle import Draft, create, start
from mangaassist.control.experiments.outcomes import declared
from mangaassist.control.experiments.report import markdown
from mangaassist.domain.experiments import Assignment, Exposure, assign
from mangaassist.domain.feedback import FeedbackEvent, FeedbackValue
from mangaassist.ports.sessions import TurnWrite
from tests.support.kept_answers import settings_for
from tests.support.stored import make_write

QUALITY = "guardrail_score:grounding_check"
V2 = "anthropic.claude-3-5-sonnet-20241022-v2:0"
SESSIONS, COVERAGE, DAYS = 14_000, 0.2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is really so of one version."""

    quality: float
    cost_usd: float
    p95_ms: float
    cart_add: float
    escalation: float


TRUTH = {
    "control": Truth(quality=0.84, cost_usd=0.0081, p95_ms=2_100, cart_add=0.10, escalation=0.050),
    "treatment": Truth(quality=0.86, cost_usd=0.0083, p95_ms=1_950, cart_add=0.15, escalation=0.047),
}


def test_the_documents_own_numbers_cannot_be() -> None:
    effect, t, per_arm = 0.02, 3.2, 45_000
    deviation = effect / t * math.sqrt(per_arm / 2)

    assert deviation > 0.9
    assert deviation > 0.5  # the largest there is between 0 and 1


@pytest.mark.slow
async def test_a_better_model_is_promoted_with_its_cost_and_its_business_outcomes(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    await play(settings, TRUTH)

    analysis = await asyncio.to_thread(analysed, settings)

    # a tenth of the traffic, half of those who take part, met v2
    on_v2 = analysis.sizes.units["treatment"] / SESSIONS
    assert on_v2 == pytest.approx(0.10, abs=0.01)
    assert analysis.sizes.p_value > 0.001
    assert (analysis.decision, analysis.arm) == (Decision.PROMOTE, "treatment")
    # every interval holds the truth it was made with
    assert_holds(analysis, QUALITY, TRUTH["treatment"].quality - TRUTH["control"].quality)
    assert_holds(analysis, "cost_usd", TRUTH["treatment"].cost_usd - TRUTH["control"].cost_usd)
    assert_holds(analysis, "cart_add_rate", TRUTH["treatment"].cart_add - TRUTH["control"].cart_add)
    assert_holds(analysis, "escalation_rate", TRUTH["treatment"].escalation - TRUTH["control"].escalation)
    assert effect(analysis, "cart_add_rate").benefit_shown
    assert not effect(analysis, "escalation_rate").benefit_shown  # three in a thousand cannot be seen yet
    assert effect(analysis, "latency_p95_ms").within_margin
    # the cost of the better model is part of the answer
    cost = analysis.arms[0].cost
    assert cost is not None
    assert cost.relative == pytest.approx(0.0083 / 0.0081 - 1, abs=0.03)
    p95 = {one.arm: one for one in analysis.quantiles}
    for arm, truth in TRUTH.items():
        low, high = p95[arm].low, p95[arm].high
        assert low is not None
        assert high is not None
        assert low < truth.p95_ms < high
    assert "## PROMOTE (treatment)" in markdown(analysis, answers_per_day=300_000)


@pytest.mark.slow
async def test_a_model_that_escalates_more_is_stopped_however_good_its_answers(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    await play(settings, {**TRUTH, "treatment": replace(TRUTH["treatment"], escalation=0.11)})

    analysis = await asyncio.to_thread(analysed, settings)

    assert analysis.decision is Decision.ROLLBACK
    assert any("escalation_rate is worse" in reason for reason in analysis.reasons)


def analysed(settings: Settings) -> Analysis:
    return analyse_experiment(settings, "sonnet-v2").analysis


def effect(analysis: Analysis, metric: str) -> MetricEffect:
    found = analysis.arms[0].effects[metric]
    assert isinstance(found, MetricEffect), found
    return found


def assert_holds(analysis: Analysis, metric: str, truth: float) -> None:
    test = effect(analysis, metric).test
    assert test.low <= truth <= test.high, (metric, test)


# --- playing it ---


async def play(settings: Settings, truth: dict[str, Truth]) -> None:
    """Let the traffic of three days come: assigned by the plan, answered, rated, stored."""
    began = SystemClock().now() - timedelta(days=DAYS)
    draft = Draft(
        key="sonnet-v2",
        hypothesis="v2 answers better at hardly more cost",
        changes={"treatment": {"models": {"main": {"provider": "bedrock", "model_id": V2}}}},
        shares={"control": 0.5, "treatment": 0.5},
        coverage_ratio=COVERAGE,
        namespace="models",
        metrics=(
            declared(QUALITY, role="primary"),
            declared("latency_p95_ms", role="guardrail", margin=0.02),
            declared("escalation_rate", role="guardrail", margin=0.03),
            declared("cart_add_rate", role="secondary"),
            declared("cost_usd", role="secondary"),
        ),
        planned_units=8_000,
    )
    plan = change_plan(settings, lambda plan: start(create(plan, draft), "sonnet-v2", now=began))
    experiment = plan.experiments["sonnet-v2"]
    async with opened(settings) as storage:
        visits = [
            (assignment, began + timedelta(days=DAYS) * (number / SESSIONS))
            for number in range(SESSIONS)
            if (assignment := assign(experiment, f"sess_{number}")) is not None
        ]
        for at in range(0, len(visits), 100):
            await asyncio.gather(
                *(visit(storage, one, moment, truth) for one, moment in visits[at : at + 100])
            )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[SqlStorage]:
    storage = await SqlStorage.open(settings.effective_database_url, clock=SystemClock(), ids=RandomIds())
    try:
        yield storage
    finally:
        await storage.close()


async def visit(
    storage: SqlStorage, assignment: Assignment, moment: datetime, truth: dict[str, Truth]
) -> None:
    """One session: exposed first, then one to four answers that depend on the arm and on its shopper."""
    random = Random(f"shopper of {assignment.unit_id}")
    arm = truth[assignment.arm]
    owner = f"visitor:{assignment.unit_id}"
    await storage.exposures.record(
        [
            Exposure(
                experiment=assignment.experiment,
                phase=assignment.phase,
                unit_id=assignment.unit_id,
                arm=assignment.arm,
                release_bundle=f"bundle-{assignment.arm}",
                exposed_at=moment,
            )
        ]
    )
    mood = random.gauss(0.0, 0.05)
    for turn in range(random.choice((1, 2, 2, 3))):
        write = answer(assignment, arm, random, mood=mood, turn=turn, moment=moment, owner=owner)
        await storage.sessions.append(write)
        for value, chance in (("cart_add", arm.cart_add), ("escalation", arm.escalation)):
            if random.random() < chance:
                await storage.feedback.add(given(write, value), owner=owner)  # type: ignore[arg-type]


def answer(
    assignment: Assignment,
    arm: Truth,
    random: Random,
    *,
    mood: float,
    turn: int,
    moment: datetime,
    owner: str,
) -> TurnWrite:
    """Return one answer; scores are Beta, latencies and costs lognormal with the arm's own p95 and mean."""
    at = moment + timedelta(minutes=turn)
    write = make_write(
        f"resp_{assignment.unit_id}_{turn}", session_id=assignment.unit_id, owner=owner, created_at=at
    )
    score = min(1.0, max(0.0, random.betavariate(arm.quality * 12, (1 - arm.quality) * 12) + mood))
    return replace(
        write,
        record=replace(
            write.record,
            assignments={assignment.experiment: assignment.arm},
            release_bundle=f"bundle-{assignment.arm}",
            latency_ms=arm.p95_ms * math.exp(random.gauss(-1.6449 * 0.3, 0.3)),
            cost_usd=arm.cost_usd * math.exp(random.gauss(-0.5 * 0.2**2, 0.2)),
            guardrail_scores={"grounding_check": score},
        ),
    )


def given(write: TurnWrite, value: FeedbackValue) -> FeedbackEvent:
    record = write.record
    return FeedbackEvent(
        feedback_id=f"fb_{value}_{record.response_id}",
        response_id=record.response_id,
        trace_id=record.trace_id,
        feedback=value,
        timestamp=record.created_at + timedelta(seconds=40),
    )
