"""Replay and thresholds: what holds whatever was logged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mangaassist.control.evaluation.guardrail_replay import (
    LoggedAnswer,
    Rescored,
    replay,
    stages_to_run_again,
)
from mangaassist.control.evaluation.guardrail_thresholds import suggest_thresholds
from mangaassist.domain.intents import Intent
from mangaassist.serving.guardrails.ruleset import ChannelThresholds, Rule, Ruleset, StagePolicy

STAGE = "grounding_check"
_ratios = st.floats(0, 1, allow_nan=False)
_intents = st.sampled_from([Intent.RECOMMENDATION, Intent.FAQ])


def ruleset(threshold: float, *, name: str = "gr", **policy: object) -> Ruleset:
    return Ruleset.model_validate(
        {"name": name, "stages": {STAGE: {"mode": "enforce", "threshold": threshold, **policy}}}
    )


@st.composite
def _answers(draw: st.DrawFn) -> list[LoggedAnswer]:
    """Answers as a ruleset with threshold 0.5 logged them."""
    out = []
    for number in range(draw(st.integers(0, 30))):
        score = draw(_ratios)
        action = "replace" if score >= 0.5 else "allow"
        out.append(
            LoggedAnswer(
                response_id=f"resp_{number:03}",
                intent=draw(_intents).value,
                channel="chat",
                action=action,
                stage=STAGE if action == "replace" else None,
                rule="low_support" if action == "replace" else None,
                scores={STAGE: score},
                actions={STAGE: action},
                rules={STAGE: "low_support"},
                latency_ms={STAGE: 1.0},
                label=draw(st.sampled_from([None, "fine", "violation", "unsure"])),
            )
        )
    return out


@given(answers=_answers())
def test_the_same_ruleset_changes_nothing(answers: list[LoggedAnswer]) -> None:
    same = ruleset(0.5)
    report = replay(answers, old=same, new=same, again={})
    assert (report.overall.newly, report.overall.released) == (0, 0)
    assert report.overall.before == report.overall.after == sum(one.action == "replace" for one in answers)


@given(answers=_answers(), threshold=_ratios, other=_ratios)
def test_a_lower_threshold_never_blocks_less(
    answers: list[LoggedAnswer], threshold: float, other: float
) -> None:
    low, high = sorted((threshold, other))
    old = ruleset(0.5)
    strict = replay(answers, old=old, new=ruleset(low), again={})
    lenient = replay(answers, old=old, new=ruleset(high), again={})
    assert strict.overall.after >= lenient.overall.after
    assert strict.overall.after == sum(one.scores[STAGE] >= low for one in answers)


@given(answers=_answers(), threshold=_ratios)
def test_intents_and_rules_add_up_to_the_whole(answers: list[LoggedAnswer], threshold: float) -> None:
    report = replay(answers, old=ruleset(0.5), new=ruleset(threshold), again={})
    for name in ("answers", "before", "after", "newly", "released", "false_positives_after", "violations"):
        assert sum(getattr(counts, name) for counts in report.by_intent.values()) == getattr(
            report.overall, name
        )
    assert sum(counts.after for counts in report.by_rule.values()) == report.overall.after


@given(answers=_answers(), rate=st.floats(0.01, 0.5))
def test_a_suggested_threshold_keeps_the_rate_and_lies_in_its_interval(
    answers: list[LoggedAnswer], rate: float
) -> None:
    for one in suggest_thresholds(answers, stage=STAGE, policy=ruleset(0.5).stages[STAGE], rate=rate):
        if one.threshold is None:
            continue
        benign = [
            answer.scores[STAGE]
            for answer in answers
            if answer.label == "fine" and one.intent in (None, answer.intent)
        ]
        flagged = sum(score >= one.threshold for score in benign) / len(benign)
        assert flagged <= rate
        assert one.false_positive_rate == flagged
        assert one.low is not None
        assert one.high is not None
        assert one.low <= flagged <= one.high


@given(general=_ratios, by_intent=_ratios, by_channel=_ratios, both=_ratios, intent=st.none() | _intents)
def test_the_most_specific_threshold_counts(
    general: float, by_intent: float, by_channel: float, both: float, intent: Intent | None
) -> None:
    policy = StagePolicy(
        threshold=general,
        thresholds_by_intent={Intent.FAQ: by_intent, Intent.RECOMMENDATION: by_intent},
        thresholds_by_channel={
            "stream": ChannelThresholds(threshold=by_channel, by_intent={Intent.FAQ: both})
        },
    )
    assert policy.threshold_for(None) == general
    assert policy.threshold_for(None, "stream") == by_channel
    assert policy.threshold_for(intent, "chat") == (by_intent if intent else general)
    assert policy.threshold_for(Intent.FAQ, "stream") == both
    assert policy.threshold_for(Intent.RECOMMENDATION, "stream") == by_intent


def test_only_a_changed_rule_needs_the_stage_again() -> None:
    old = ruleset(0.5)
    assert stages_to_run_again(old, ruleset(0.9, timeout_ms=5, failure_policy="closed")) == frozenset()
    assert stages_to_run_again(old, ruleset(0.5, rules=[Rule(id="x", pattern="y")])) == {STAGE}


def test_what_was_run_again_counts_instead_of_what_was_recorded() -> None:
    answer = LoggedAnswer(
        response_id="resp_1", intent="faq", channel="chat", action="allow", stage=None, rule=None,
        scores={STAGE: 0.1}, actions={STAGE: "allow"}, rules={}, latency_ms={}, label="fine",
    )  # fmt: skip
    new = ruleset(0.5, rules=[Rule(id="x", pattern="y")])
    again = {("resp_1", STAGE): Rescored(score=1.0, action="replace", rule="x")}
    report = replay([answer], old=ruleset(0.5), new=new, again=again)
    assert (report.overall.newly, report.overall.false_positives_after) == (1, 1)
    assert list(report.by_rule) == [f"{STAGE}:x"]
    kept = replay([answer], old=ruleset(0.5), new=new, again={})
    assert kept.not_replayed[STAGE] == 1


def test_without_benign_answers_no_threshold_is_made_up() -> None:
    answer = LoggedAnswer(
        response_id="resp_1", intent="faq", channel="chat", action="allow", stage=None, rule=None,
        scores={STAGE: 0.1}, actions={STAGE: "allow"}, rules={}, latency_ms={},
    )  # fmt: skip
    (everything, _) = suggest_thresholds([answer], stage=STAGE, policy=StagePolicy(), rate=0.01)
    assert everything.threshold is None
    assert "label" in everything.detail
