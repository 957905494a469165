"""The plan of experiments: what is refused, what survives writing and reading, what each step changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mangaassist.control.experiments.lifecycle import Draft, create, ramp, start, stop
from mangaassist.control.experiments.outcomes import declared
from mangaassist.domain.errors import ConfigurationError, ConflictError, InvalidRequestError, NotFoundError
from mangaassist.domain.experiments import TrafficPlan
from mangaassist.serving.experiment_plan import MAX_VARIANTS, parse_plan, plan_document, variant_choices

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def draft(key: str = "tone", **changes: Any) -> Draft:
    return Draft(
        **{
            "key": key,
            "changes": {"treatment": {"prompts": {"recommendation": "1.1"}}},
            "shares": {"control": 0.9, "treatment": 0.1},
            "metrics": (
                declared("thumbs_up_rate", role="primary"),
                declared("latency_ms", role="guardrail", margin=0.1, relative_margin=True),
                declared("continuation_rate", role="secondary"),
            ),
            "namespace": key,
            "intents": ("recommendation",),
            **changes,
        }
    )


def running(*drafts: Draft) -> TrafficPlan:
    plan = TrafficPlan()
    for one in drafts or (draft(),):
        plan = start(create(plan, one), one.key, now=NOW)
    return plan


def document(plan: TrafficPlan | None = None) -> dict[str, Any]:
    content: dict[str, Any] = plan_document(plan or running())
    return content


# --- life ---


def test_a_plan_survives_writing_and_reading_through_its_whole_life() -> None:
    plan = create(TrafficPlan(), draft())
    later = NOW + timedelta(days=1)
    steps: list[Callable[[TrafficPlan], TrafficPlan]] = [
        lambda plan: start(plan, "tone", now=NOW),
        lambda plan: ramp(plan, "tone", now=later, shares={"control": 0.5, "treatment": 0.5}),
        lambda plan: stop(plan, "tone", now=later, outcome="promoted"),
    ]
    for step in steps:
        assert parse_plan(plan_document(plan)) == plan
        plan = step(plan)
    assert parse_plan(plan_document(plan)) == plan


def test_only_a_running_experiment_assigns() -> None:
    plan = create(TrafficPlan(), draft())

    assert plan.running == ()
    assert [one.key for one in start(plan, "tone", now=NOW).running] == ["tone"]
    assert stop(running(), "tone", now=NOW).running == ()


def test_new_shares_open_a_phase_and_mark_what_moved() -> None:
    plan = ramp(running(), "tone", now=NOW, shares={"control": 0.75, "treatment": 0.25})

    last = plan.experiments["tone"].phases[-1]
    assert (last.number, dict(last.shares)) == (2, {"control": 0.75, "treatment": 0.25})
    assert sum(part.count for part in last.moved) == 1_500


def test_the_same_shares_again_open_no_phase() -> None:
    plan = ramp(running(), "tone", now=NOW, shares={"control": 90, "treatment": 10})

    assert plan == running()


def test_growing_coverage_opens_no_phase() -> None:
    plan = running(draft(coverage_ratio=0.2))

    assert ramp(plan, "tone", now=NOW, coverage_ratio=0.5).experiments["tone"].phase == 1
    with pytest.raises(InvalidRequestError, match="only grow"):
        ramp(plan, "tone", now=NOW, coverage_ratio=0.1)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (lambda plan: create(plan, draft()), ConflictError),
        (lambda plan: start(plan, "tone", now=NOW), ConflictError),
        (lambda plan: stop(stop(plan, "tone", now=NOW), "tone", now=NOW), ConflictError),
        (lambda plan: ramp(stop(plan, "tone", now=NOW), "tone", now=NOW, coverage_ratio=1), ConflictError),
        (lambda plan: start(plan, "unknown", now=NOW), NotFoundError),
        (lambda plan: ramp(plan, "tone", now=NOW, shares={"control": 1.0}), InvalidRequestError),
        (
            lambda plan: ramp(plan, "tone", now=NOW, shares={"control": 1, "treatment": 0}),
            InvalidRequestError,
        ),
        (lambda plan: create(plan, draft("new", namespace="tone")), ConflictError),
        (lambda plan: create(plan, draft("new", shares={"treatment": 1.0})), InvalidRequestError),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(
    step: Callable[[TrafficPlan], TrafficPlan], error: type[Exception]
) -> None:
    with pytest.raises(error):
        step(running())


def test_two_experiments_share_a_namespace_without_sharing_units() -> None:
    plan = running(draft("one", namespace="page", namespace_ratio=0.5), draft("other", namespace="page"))

    parse_plan(plan_document(plan))
    assert [plan.experiments[key].namespace_buckets[0].count for key in ("one", "other")] == [5_000, 5_000]


# --- what is refused ---


def broken(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    content = document()
    change(content["experiments"]["tone"])
    return content


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: one["arms"]["treatment"].update(buckets=[[0, 5]]), "share buckets"),
        (lambda one: one["arms"]["treatment"].update(buckets=[[9000, 9500], [9400, 9600]]), "overlap"),
        (lambda one: one["arms"]["treatment"].update(buckets=[[9500, 9500]]), "starts before it stops"),
        (lambda one: one["arms"]["treatment"].update(buckets=[[0, 10001]]), "10000"),
        (lambda one: one["arms"].pop("control"), "'control' and at least one more"),
        (lambda one: one["arms"]["treatment"].update(overrides={"release": "x"}), "may differ between arms"),
        (lambda one: one["arms"]["treatment"].update(bundle="b-1"), "exclude each other"),
        (lambda one: one["metrics"].append({"name": "cost_usd", "role": "primary"}), "exactly one primary"),
        (lambda one: one["metrics"].append({"name": "latency_ms", "role": "secondary"}), "appears twice"),
        (
            lambda one: one["metrics"].append({"name": "x", "role": "secondary", "kind": "ratio"}),
            "denominator",
        ),
        (lambda one: one.update(phases=[]), "running experiment has at least one"),
        (lambda one: one.update(colour="red"), "Extra inputs"),
        (lambda one: one.update(intents=["small talk"]), "intents"),
        (lambda one: one.update(coverage_ratio=1.5), "coverage_ratio"),
    ],
)
def test_a_broken_plan_names_what_is_wrong(change: Callable[[dict[str, Any]], Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse_plan(broken(change))


@pytest.mark.parametrize("key", ["ns", "cov", "Tone", "a b", ""])
def test_keys_that_would_collide_or_confuse_are_refused(key: str) -> None:
    content = {"experiments": {key: document()["experiments"]["tone"]}}

    with pytest.raises(ConfigurationError):
        parse_plan(content)


@pytest.mark.parametrize(
    ("overrides", "conflict"),
    [
        ({"prompts": {"recommendation": "1.2"}}, r"prompts\.recommendation"),
        ({"prompts": {}}, "prompts"),
        ({"prompts": {"faq": "1.2"}}, None),
        ({"models": {"main": {"max_tokens": 9}}}, None),
    ],
)
def test_experiments_that_can_meet_in_a_unit_change_different_things(
    overrides: dict[str, object], conflict: str | None
) -> None:
    content = document(running(draft(), draft("other", changes={"treatment": overrides})))

    if conflict is None:
        parse_plan(content)
    else:
        with pytest.raises(ConfigurationError, match=f"both change {conflict}"):
            parse_plan(content)


def test_a_whole_bundle_meets_no_other_experiment() -> None:
    content = document(running(draft(), draft("other", changes={}, bundles={"treatment": "b-1"})))

    with pytest.raises(ConfigurationError, match="both change"):
        parse_plan(content)


# --- variants ---


def test_variants_are_the_combinations_that_one_unit_can_be_in() -> None:
    plan = running(
        draft("one", namespace="page", namespace_ratio=0.5),
        draft("two", namespace="page"),
        draft("three", changes={"treatment": {"models": {"main": {"max_tokens": 9}}}}),
    )

    found = {tuple(key for key, _ in choice) for choice in variant_choices(plan)}

    assert found == {("one",), ("two",), ("three",), ("one", "three"), ("three", "two")}


def test_more_variants_than_fit_are_refused() -> None:
    drafts = [
        draft(f"e{number}", changes={"treatment": {"models": {f"m{number}": {"max_tokens": 9}}}})
        for number in range(7)
    ]

    with pytest.raises(ConfigurationError, match=str(MAX_VARIANTS)):
        variant_choices(running(*drafts))
