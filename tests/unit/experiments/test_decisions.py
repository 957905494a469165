"""What an analysis decides, on data whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from mangaassist.control.experiments.analysis import Analysis, AnalysisRequest, analyze, over_time
from mangaassist.control.experiments.decision import Decision
from mangaassist.control.experiments.effects import AnalysisPolicy, MetricEffect
from mangaassist.control.experiments.report import document, html, markdown
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Metric
from mangaassist.stats.outcome import CannotCompute
from tests.support.memory_observations import InMemoryObservationTable, Row

START = datetime(2026, 11, 1, tzinfo=UTC)
LIKED = Metric(name="liked", role="primary", kind="binary", margin=0.03)
COST = Metric(name="cost_usd", role="secondary", better="lower")
FAILED = Metric(name="failed", role="guardrail", kind="binary", better="lower", margin=0.02)
HALVES = {1: {"control": 0.5, "treatment": 0.5}}


def rows(
    units: int = 6_000,
    *,
    liked: tuple[float, float] = (0.7, 0.7),
    failed: tuple[float, float] = (0.02, 0.02),
    cost: tuple[float, float] = (0.008, 0.008),
    share: float = 0.5,
    phase: int = 1,
    seed: int = 0,
) -> list[Row]:
    """One answer a unit; values of (control, treatment)."""
    random = Random(seed)
    found: list[Row] = []
    for unit in range(units):
        arm = int(random.random() < share)
        found.append(
            {
                "unit": f"{phase}-{unit}",
                "arm": ("control", "treatment")[arm],
                "phase": phase,
                "at": START + timedelta(minutes=unit),
                "intent": ("faq", "promotion")[unit % 2],
                "liked": int(random.random() < liked[arm]),
                "failed": int(random.random() < failed[arm]),
                "cost_usd": cost[arm] * random.lognormvariate(0, 0.4),
            }
        )
    return found


def decided(data: list[Row], *metrics: Metric, last_unit: int | None = None, **changes: object) -> Analysis:
    request = AnalysisRequest(
        key="tone",
        control="control",
        metrics=metrics or (LIKED, FAILED, COST),
        shares=HALVES,
        policy=AnalysisPolicy(planned_units=8_000),
        last_unit=last_unit,
    )
    return analyze(InMemoryObservationTable(data), replace(request, **changes))  # type: ignore[arg-type]


def effect(analysis: Analysis, metric: str) -> MetricEffect:
    found = analysis.arms[0].effects[metric]
    assert isinstance(found, MetricEffect)
    return found


# --- the five decisions ---


def test_a_better_treatment_is_promoted_with_its_cost() -> None:
    analysis = decided(rows(liked=(0.66, 0.76), cost=(0.008, 0.009)))

    assert (analysis.decision, analysis.arm) == (Decision.PROMOTE, "treatment")
    assert "liked is better" in analysis.reasons[0]
    assert "cost_usd changes by" in analysis.reasons[1]
    cost = analysis.arms[0].cost
    assert cost is not None
    assert cost.relative == pytest.approx(0.125, abs=0.05)
    assert cost.low < cost.difference < cost.high
    assert cost.per_month(1_000) == pytest.approx(cost.difference * 30_000)


def test_a_worse_treatment_is_rolled_back_early() -> None:
    analysis = decided(rows(2_000, liked=(0.70, 0.58)))

    assert analysis.decision is Decision.ROLLBACK
    assert "liked is worse" in analysis.reasons[0]


def test_a_broken_guardrail_rolls_back_even_a_better_treatment() -> None:
    analysis = decided(rows(liked=(0.66, 0.76), failed=(0.02, 0.06)))

    assert analysis.decision is Decision.ROLLBACK
    assert "failed is worse" in analysis.reasons[0]


def test_an_open_question_continues_until_the_planned_end_then_goes_to_a_person() -> None:
    data = rows(liked=(0.70, 0.705))

    assert decided(data).decision is Decision.CONTINUE
    assert "more units would settle" in decided(data).reasons[0]
    assert decided(data, last_unit=6_000).decision is Decision.REVIEW
    over = decided(data, started_at=START, now=START + timedelta(days=28))
    assert over.decision is Decision.REVIEW
    assert decided(data, started_at=START, now=START + timedelta(days=27)).decision is Decision.CONTINUE


def test_a_better_treatment_waits_for_its_guardrails() -> None:
    strict = replace(FAILED, margin=0.0005)

    analysis = decided(rows(liked=(0.66, 0.76)), LIKED, strict)

    assert analysis.decision is Decision.CONTINUE
    assert "guardrail failed may still be worse" in analysis.reasons[1]


def test_as_good_and_cheaper_is_promoted() -> None:
    analysis = decided(rows(12_000, cost=(0.008, 0.004)))

    assert analysis.decision is Decision.PROMOTE
    assert "it is cheaper" in analysis.reasons[0]
    same_cost = decided(rows(12_000))
    assert same_cost.decision is Decision.CONTINUE


@pytest.mark.parametrize("share", [0.45, 0.56])
def test_arms_of_the_wrong_size_make_the_result_invalid_however_good(share: float) -> None:
    analysis = decided(rows(liked=(0.60, 0.80), share=share))

    assert (analysis.decision, analysis.arm) == (Decision.INVALID, None)
    assert "sample ratio mismatch" in analysis.reasons[0]


def test_units_in_several_arms_make_the_result_invalid() -> None:
    data = rows(2_000)
    flipped: list[Row] = [
        {**row, "arm": "treatment" if row["arm"] == "control" else "control"} for row in data[:60]
    ]

    analysis = decided(data + flipped)

    assert analysis.decision is Decision.INVALID
    assert "60 units" in analysis.reasons[0]


def test_too_few_units_are_no_verdict() -> None:
    analysis = decided(rows(120))

    assert analysis.decision is Decision.CONTINUE
    assert isinstance(analysis.arms[0].effects["liked"], CannotCompute)


# --- what the figures are ---


def test_rare_single_trials_are_judged_by_the_exact_test() -> None:
    calm, harmed = decided(rows()), decided(rows(failed=(0.01, 0.05)))

    assert not effect(calm, "failed").harm_shown
    assert effect(harmed, "failed").harm_shown


def test_an_arm_that_leaves_units_without_an_answer_does_not_look_better_for_it() -> None:
    counted = replace(FAILED, absent=1.0)
    data: list[Row] = [
        {**row, "failed": None} if row["arm"] == "treatment" and number % 10 == 0 else row
        for number, row in enumerate(rows())
    ]

    silent, honest = decided(data, LIKED, FAILED), decided(data, LIKED, counted)

    assert silent.decision is Decision.CONTINUE
    assert honest.decision is Decision.ROLLBACK


def test_behaviour_before_the_experiment_narrows_the_interval() -> None:
    random = Random(5)
    data: list[Row] = []
    for unit in range(3_000):
        taste = random.gauss(0.0, 1.0)
        arm = ("control", "treatment")[unit % 2]
        data.append({"unit": unit, "arm": arm, "spent": taste + random.gauss(0.0, 0.5), "pre_spent": taste})
    metric = Metric(name="spent", role="primary")
    plain: list[Row] = [{name: row[name] for name in ("unit", "arm", "spent")} for row in data]

    with_history, without = (effect(decided(one, metric), "spent") for one in (data, plain))

    assert with_history.variance_reduction == pytest.approx(0.8, abs=0.03)
    assert without.variance_reduction is None
    width = with_history.test.high - with_history.test.low
    assert width == pytest.approx((without.test.high - without.test.low) * 0.2**0.5, rel=0.05)


def test_phases_are_combined_within_never_pooled() -> None:
    """Simpson's trap: everyone likes more in phase 2, which also has more treatment; no true effect."""
    data = rows(4_000, liked=(0.5, 0.5), share=0.1, phase=1) + rows(
        4_000, liked=(0.9, 0.9), share=0.6, phase=2, seed=1
    )
    shares = {1: {"control": 0.9, "treatment": 0.1}, 2: {"control": 0.4, "treatment": 0.6}}
    means = {
        arm: sum(int(str(row["liked"])) for row in data if row["arm"] == arm)
        / sum(row["arm"] == arm for row in data)
        for arm in ("control", "treatment")
    }

    found = decided(data, shares=shares)

    assert means["treatment"] - means["control"] > 0.1  # what pooled sums would have shown
    assert abs(effect(found, "liked").test.effect) < 0.04
    assert found.decision is Decision.CONTINUE


def test_several_treatments_share_the_error_rates_and_the_best_is_named() -> None:
    data = rows(3_000, liked=(0.6, 0.6))
    better: list[Row] = [
        {**row, "unit": f"b{row['unit']}", "arm": "bold"}
        for row in rows(3_000, liked=(0.8, 0.8), seed=9)
        if row["arm"] == "treatment"
    ]
    shares = {1: {"control": 1.0, "treatment": 1.0, "bold": 1.0}}

    analysis = decided(data + better, shares=shares)

    assert (analysis.decision, analysis.arm) == (Decision.PROMOTE, "bold")
    assert effect(analysis, "liked").test.confidence == pytest.approx(1 - 0.015)


def test_a_quantile_is_compared_by_how_many_answers_exceed_controls() -> None:
    random = Random(3)
    data: list[Row] = [
        {
            "unit": unit // 2,
            "arm": ("control", "treatment")[unit // 2 % 2],
            "latency_ms": random.lognormvariate(7, 0.3) * (2 if unit // 2 % 2 and unit % 5 == 0 else 1),
        }
        for unit in range(8_000)
    ]
    latency = Metric(name="latency_ms", role="primary", kind="quantile", better="lower")

    analysis = decided(data, latency)

    assert analysis.decision is Decision.ROLLBACK
    assert effect(analysis, "latency_ms").control == pytest.approx(0.05, abs=0.002)
    by_arm = {one.arm: one for one in analysis.quantiles}
    assert by_arm["treatment"].value > 1.2 * by_arm["control"].value
    assert all(one.low < one.value < one.high for one in analysis.quantiles if one.low and one.high)


def test_secondary_metrics_and_segments_are_adjusted_for_being_many() -> None:
    others = [replace(FAILED, name=name, role="secondary") for name in ("failed",)]

    analysis = decided(rows(), LIKED, COST, *others)

    cost, failed = effect(analysis, "cost_usd"), effect(analysis, "failed")
    assert cost.adjusted_p is not None
    assert failed.adjusted_p is not None
    assert cost.adjusted_p >= cost.test.p_value
    assert {one.segment for one in analysis.arms[0].segments} == {"faq", "promotion"}
    assert all(one.adjusted_p is not None for one in analysis.arms[0].segments)


def test_the_interval_over_time_ends_with_the_analysis() -> None:
    data = rows(liked=(0.66, 0.76))
    request = AnalysisRequest(
        key="tone", control="control", metrics=(LIKED,), shares=HALVES, policy=AnalysisPolicy()
    )
    table = InMemoryObservationTable(data)

    moments = over_time(table, request)

    last = moments[-1].effect
    assert isinstance(last, MetricEffect)
    assert last.test == effect(analyze(table, request), "liked").test
    assert [moment.units for moment in moments] == sorted(moment.units for moment in moments)
    assert over_time(InMemoryObservationTable([{"unit": 1, "arm": "control", "liked": 1}]), request) == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda row: {**row, "phase": 7},
        lambda row: {**row, "arm": "stranger"},
    ],
)
def test_observations_that_the_plan_does_not_know_are_refused(change: Callable[[Row], Row]) -> None:
    data = rows(300)

    with pytest.raises(InvalidRequestError, match="expected"):
        decided([*data, change(data[0])])


# --- the report ---


def test_reports_hold_the_decision_its_reasons_and_every_metric() -> None:
    analysis = decided(rows(liked=(0.66, 0.76)))

    text, page = markdown(analysis, answers_per_day=5_000), html(analysis, {"sizes": "<svg></svg>"})
    data = document(analysis, answers_per_day=5_000)

    assert "## PROMOTE (treatment)" in text
    assert "5,000 answers a day" in text
    for name in ("liked", "failed", "cost_usd"):
        assert f"| {name} |" in text
        assert f"<td>{name}</td>" in page
    assert "<svg></svg>" in page
    assert data["decision"] == "PROMOTE"
    assert set(data) >= {"experiment", "arm", "reasons", "sample_ratio", "arms", "quantiles", "policy"}


def test_names_cannot_break_out_of_the_page() -> None:
    data: list[Row] = [{**row, "intent": "<script>alert(1)</script>"} for row in rows(600)]

    assert "<script>" not in html(decided(data), {})
