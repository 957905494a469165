"""The life of an experiment: draft, running through its phases, stopped. Every step gives a new plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from mangaassist.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from mangaassist.domain.experiments import (
    BUCKETS,
    Arm,
    Experiment,
    Metric,
    Phase,
    TrafficPlan,
    allot,
    first_buckets,
    free_buckets,
    reallot,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a new experiment is asked to be; `changes` by arm, empty for one that changes nothing.

    `namespace_ratio` is the share of the namespace it wants; None takes all that is free.
    """

    key: str
    changes: Mapping[str, Mapping[str, object]]
    shares: Mapping[str, float]
    metrics: tuple[Metric, ...]
    hypothesis: str = ""
    control: str = "control"
    bundles: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "default"
    namespace_ratio: float | None = None
    coverage_ratio: float = 1.0
    intents: tuple[str, ...] = ()
    planned_units: int = 20_000
    max_days: int = 28


def find(plan: TrafficPlan, key: str) -> Experiment:
    """Return an experiment, or raise `NotFoundError` naming those there are."""
    if key not in plan.experiments:
        known = ", ".join(sorted(plan.experiments)) or "none"
        raise NotFoundError(f"there is no experiment {key!r}; known: {known}")
    return plan.experiments[key]


def create(plan: TrafficPlan, draft: Draft) -> TrafficPlan:
    """Add a draft; raises `ConflictError` for a key in use or a namespace without room."""
    if draft.key in plan.experiments:
        raise ConflictError(f"there is an experiment {draft.key!r} already; keys are never used again")
    _check_shares(draft.shares, draft.control)
    free = free_buckets(plan.experiments.values(), namespace=draft.namespace)
    available = sum(part.count for part in free)
    wanted = available if draft.namespace_ratio is None else round(draft.namespace_ratio * BUCKETS)
    if available == 0 or wanted > available:
        raise ConflictError(
            f"namespace {draft.namespace!r} has {available / BUCKETS:.2%} of its units free; stop an"
            " experiment, ask for less with --namespace-share, or choose another --namespace"
        )
    ranges = allot(draft.shares, control=draft.control)
    experiment = Experiment(
        key=draft.key,
        hypothesis=draft.hypothesis,
        control=draft.control,
        arms=tuple(
            Arm(
                name=name,
                buckets=buckets,
                overrides=draft.changes.get(name, {}),
                bundle=draft.bundles.get(name),
            )
            for name, buckets in ranges.items()
        ),
        metrics=draft.metrics,
        namespace=draft.namespace,
        namespace_buckets=first_buckets(free, wanted),
        coverage_ratio=draft.coverage_ratio,
        intents=draft.intents,
        planned_units=draft.planned_units,
        max_days=draft.max_days,
    )
    return _with(plan, experiment)


def start(plan: TrafficPlan, key: str, *, now: datetime) -> TrafficPlan:
    """Run a draft from now on, in its first phase; raises `ConflictError` for any other state."""
    experiment = find(plan, key)
    if experiment.status != "draft":
        raise ConflictError(f"{key!r} is {experiment.status}; only a draft can be started")
    phase = Phase(number=1, started_at=now, shares=experiment.shares)
    return _with(plan, replace(experiment, status="running", phases=(phase,)))


def ramp(
    plan: TrafficPlan,
    key: str,
    *,
    now: datetime,
    coverage_ratio: float | None = None,
    shares: Mapping[str, float] | None = None,
) -> TrafficPlan:
    """Change how many units take part, or the arms' shares; new shares open a new phase.

    Coverage can only grow: units that fell out again would leave half-told stories behind.
    """
    experiment = find(plan, key)
    if experiment.status != "running":
        raise ConflictError(f"{key!r} is {experiment.status}; only a running experiment can be ramped")
    if coverage_ratio is not None:
        if not experiment.coverage_ratio <= coverage_ratio <= 1.0:
            raise InvalidRequestError(
                f"coverage can only grow, from {experiment.coverage_ratio:.2%} to at most 100 %;"
                " to end an experiment, stop it",
                field="coverage",
            )
        experiment = replace(experiment, coverage_ratio=coverage_ratio)
    if shares is not None:
        experiment = _reshared(experiment, shares, now)
    return _with(plan, experiment)


def stop(plan: TrafficPlan, key: str, *, now: datetime, outcome: str | None = None) -> TrafficPlan:
    """End an experiment: everyone gets the base bundle; its buckets are free again."""
    experiment = find(plan, key)
    if experiment.status == "stopped":
        raise ConflictError(f"{key!r} is stopped already")
    return _with(plan, replace(experiment, status="stopped", stopped_at=now, outcome=outcome))


def _reshared(experiment: Experiment, shares: Mapping[str, float], now: datetime) -> Experiment:
    if set(shares) != {arm.name for arm in experiment.arms}:
        names = ", ".join(arm.name for arm in experiment.arms)
        raise InvalidRequestError(f"expected a share for each of {names}", field="weights")
    _check_shares(shares, experiment.control)
    ranges, moved = reallot(experiment.arms, shares, control=experiment.control)
    changed = replace(
        experiment, arms=tuple(replace(arm, buckets=ranges[arm.name]) for arm in experiment.arms)
    )
    if not moved:
        return experiment
    phase = Phase(number=experiment.phase + 1, started_at=now, shares=changed.shares, moved=moved)
    return replace(changed, phases=(*experiment.phases, phase))


def _check_shares(shares: Mapping[str, float], control: str) -> None:
    if control not in shares or len(shares) < 2:
        raise InvalidRequestError(
            f"expected a share for {control!r} and at least one more arm", field="weights"
        )
    total = sum(shares.values())
    small = [name for name, share in shares.items() if share <= 0 or round(share / total * BUCKETS) == 0]
    if small:
        raise InvalidRequestError(
            f"the share of {', '.join(small)} is less than one of {BUCKETS:,} buckets", field="weights"
        )


def _with(plan: TrafficPlan, experiment: Experiment) -> TrafficPlan:
    return TrafficPlan(experiments={**plan.experiments, experiment.key: experiment})
