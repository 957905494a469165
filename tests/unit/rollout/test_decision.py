"""What the canary decision says of plain cases, and why."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.control.rollout.decision import decide
from mangaassist.control.rollout.evidence import (
    ReasonCode,
    RolloutDecision,
    RolloutEvidence,
    StageEvidence,
    Verdict,
)
from mangaassist.control.rollout.policy import load_rollout_policy
from tests.support.rollouts import rollout_evidence, stage_evidence

POLICY = load_rollout_policy()
PASSED = stage_evidence(1_000, 19_000)
PASSED_QUARTER = stage_evidence(1_000, 3_000)
PASSED_HALF = stage_evidence(2_000, 2_000)
PASSED_EARLY = stage_evidence(200, 3_800)
PASSED_EARLY_QUARTER = stage_evidence(200, 600)


def codes(decision: RolloutDecision) -> list[ReasonCode]:
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize("evidence", [RolloutEvidence(stages=()), rollout_evidence(stage_evidence(0, 0))])
def test_no_data_holds_and_never_passes_or_rolls_back(evidence: RolloutEvidence) -> None:
    decision = decide(POLICY, evidence)
    assert decision.verdict is Verdict.HOLD
    assert codes(decision) == [ReasonCode.NO_DATA]
    assert decision.more_canary_requests == POLICY.stages[0].min_canary_requests


def test_a_stage_without_data_ends_with_a_person_when_its_time_is_over() -> None:
    decision = decide(POLICY, rollout_evidence(stage_evidence(0, 0, hours=24.0 * 15)))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert codes(decision) == [ReasonCode.DURATION_EXCEEDED, ReasonCode.NO_DATA]


def test_an_equal_canary_is_promoted_when_time_requests_and_margin_are_met() -> None:
    decision = decide(POLICY, rollout_evidence(PASSED))
    assert decision.verdict is Verdict.PROMOTE
    assert decision.harm_bound is not None
    assert 0.0 < decision.harm_bound < POLICY.stages[0].margin
    assert decision.more_canary_requests == 0


def test_a_promotion_waits_for_the_shortest_time_of_the_stage() -> None:
    decision = decide(POLICY, rollout_evidence(replace(PASSED, elapsed_h=0.1)))
    assert decision.verdict is Verdict.HOLD
    assert codes(decision) == [ReasonCode.TOO_EARLY]


def test_a_hold_says_how_many_requests_are_missing_and_they_suffice() -> None:
    first = decide(POLICY, rollout_evidence(stage_evidence(160, 3_040)))
    assert first.verdict is Verdict.HOLD
    assert codes(first) == [ReasonCode.MARGIN_OPEN]
    assert first.more_canary_requests is not None
    canary = 160 + first.more_canary_requests
    # the number is an estimate to 1 %, and counts are whole
    later = decide(POLICY, rollout_evidence(stage_evidence(round(canary * 1.05), round(19 * canary * 1.05))))
    assert later.verdict is Verdict.PROMOTE


def test_no_number_is_given_while_the_harm_itself_exceeds_the_margin() -> None:
    last = stage_evidence(1_100, 1_100, quality=(0.80, 0.85))
    decision = decide(POLICY, rollout_evidence(PASSED_EARLY, PASSED_EARLY_QUARTER, last))
    assert decision.verdict is Verdict.HOLD
    assert decision.more_canary_requests is None


@pytest.mark.parametrize(
    ("worse", "monitor"),
    [
        (stage_evidence(1_000, 19_000, quality=(0.78, 0.85)), "quality"),
        (stage_evidence(1_000, 19_000, errors=(0.05, 0.01)), "errors"),
        (stage_evidence(1_000, 19_000, cost_ratio=1.3), "cost_usd"),
    ],
)
def test_shown_harm_rolls_back_and_names_the_monitor(worse: StageEvidence, monitor: str) -> None:
    decision = decide(POLICY, rollout_evidence(worse))
    assert decision.verdict is Verdict.ROLLBACK
    assert [(reason.code, reason.monitor) for reason in decision.reasons] == [
        (ReasonCode.HARM_SHOWN, monitor)
    ]


def test_harm_of_an_earlier_stage_is_not_forgotten() -> None:
    # each stage alone is no alarm; together they are
    first = stage_evidence(800, 15_200, quality=(0.808, 0.85))
    second = stage_evidence(1_000, 3_000, quality=(0.805, 0.85))
    for alone in (rollout_evidence(first), rollout_evidence(stage_evidence(0, 0), second)):
        assert decide(POLICY, alone).verdict is not Verdict.ROLLBACK
    assert decide(POLICY, rollout_evidence(first, second)).verdict is Verdict.ROLLBACK


def test_a_canary_below_the_floor_is_rolled_back_even_beside_a_control_as_bad() -> None:
    decision = decide(POLICY, rollout_evidence(stage_evidence(1_000, 19_000, quality=(0.6, 0.6))))
    assert decision.verdict is Verdict.ROLLBACK
    assert codes(decision) == [ReasonCode.FLOOR_BROKEN]


def test_a_burst_of_failures_ends_the_rollout_at_once_unless_the_control_fails_too() -> None:
    tiny = stage_evidence(20, 380, errors=(0.25, 0.01))
    assert codes(decide(POLICY, rollout_evidence(tiny, first_failures=5))) == [ReasonCode.FAILURE_BURST]
    outage = stage_evidence(20, 380, errors=(0.25, 0.25))
    assert decide(POLICY, rollout_evidence(outage, first_failures=5)).verdict is Verdict.HOLD


def test_arms_of_the_wrong_size_make_the_comparison_void() -> None:
    decision = decide(POLICY, rollout_evidence(stage_evidence(700, 19_300, quality=(0.78, 0.85))))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert codes(decision) == [ReasonCode.SAMPLE_RATIO]


def test_answers_scored_less_often_in_one_arm_make_the_comparison_void() -> None:
    scored_less = stage_evidence(700, 19_000).outcomes["quality"]
    stage = replace(PASSED, outcomes={**PASSED.outcomes, "quality": scored_less})
    assert codes(decide(POLICY, rollout_evidence(stage))) == [ReasonCode.SAMPLE_RATIO]


def test_an_unscored_promotion_monitor_holds() -> None:
    outcomes = {name: arms for name, arms in PASSED.outcomes.items() if name != "quality"}
    decision = decide(POLICY, rollout_evidence(replace(PASSED, outcomes=outcomes)))
    assert decision.verdict is Verdict.HOLD
    assert codes(decision) == [ReasonCode.MARGIN_OPEN]


def test_more_stages_than_the_policy_has_are_refused() -> None:
    with pytest.raises(ValueError, match="stages"):
        decide(POLICY, rollout_evidence(*[PASSED] * 5))


RATES = st.floats(0.5, 0.99)


@given(
    canary=st.integers(0, 5_000),
    quality=st.tuples(RATES, RATES),
    errors=st.tuples(st.floats(0.0, 0.2), st.floats(0.0, 0.2)),
    drop=st.floats(0.0, 0.3),
)
def test_a_worse_canary_is_never_judged_more_kindly(
    canary: int, quality: tuple[float, float], errors: tuple[float, float], drop: float
) -> None:
    order = [Verdict.PROMOTE, Verdict.HOLD, Verdict.ROLLBACK]
    worse = (max(0.0, quality[0] - drop), quality[1])
    verdicts = [
        decide(
            POLICY, rollout_evidence(stage_evidence(canary, 19 * canary, quality=rates, errors=errors))
        ).verdict
        for rates in (quality, worse)
    ]
    assert order.index(verdicts[0]) <= order.index(verdicts[1])


def test_a_decision_over_three_stages_takes_few_milliseconds() -> None:
    evidence = rollout_evidence(PASSED, PASSED_QUARTER, PASSED_HALF)
    decide(POLICY, evidence)
    start = time.process_time()
    for _ in range(50):
        decide(POLICY, evidence)
    # 0.9 ms on a quiet core; the bound leaves room for a loaded machine
    assert (time.process_time() - start) / 50 < 0.01
