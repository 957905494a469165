"""The experiments of the traffic plan as a document: parsed, checked, and written back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.experiments import (
    ALL_BUCKETS,
    BUCKETS,
    Arm,
    BucketRange,
    Direction,
    Experiment,
    ExperimentStatus,
    Metric,
    MetricKind,
    MetricRole,
    Phase,
    TrafficPlan,
    overlap,
)
from mangaassist.domain.intents import Intent

MAX_VARIANTS = 64
"""Bundles that experiments may keep beside the base one, all combinations counted."""

OVERRIDABLE = ("prompts", "routes", "models", "budget", "cache")
RESERVED_KEYS = frozenset({"ns", "cov"})
"""First words of the other salts."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Bucket = Annotated[int, Field(ge=0, le=BUCKETS)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ArmSection(_Section):
    buckets: tuple[tuple[Bucket, Bucket], ...]
    overrides: dict[str, object] = {}
    bundle: str | None = None


class _MetricSection(_Section):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    role: MetricRole
    kind: MetricKind = "continuous"
    better: Direction = "higher"
    margin: Annotated[float, Field(ge=0)] = 0.0
    relative_margin: bool = False
    denominator: str | None = None
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.95
    absent: float | None = None


class _PhaseSection(_Section):
    number: Annotated[int, Field(ge=1)]
    started_at: AwareDatetime
    shares: dict[Name, Ratio]
    moved: tuple[tuple[Bucket, Bucket], ...] = ()


class _ExperimentSection(_Section):
    hypothesis: str = ""
    status: ExperimentStatus = "draft"
    control: Name = "control"
    arms: dict[Name, _ArmSection]
    metrics: tuple[_MetricSection, ...]
    namespace: Name = "default"
    namespace_buckets: tuple[tuple[Bucket, Bucket], ...] = ((0, BUCKETS),)
    coverage_ratio: Ratio = 1.0
    randomisation: Annotated[int, Field(ge=1)] = 1
    intents: tuple[Intent, ...] = ()
    phases: tuple[_PhaseSection, ...] = ()
    planned_units: Annotated[int, Field(ge=1)] = 20_000
    max_days: Annotated[int, Field(ge=1)] = 28
    stopped_at: AwareDatetime | None = None
    outcome: str | None = None


class _PlanSection(_Section):
    experiments: dict[Name, _ExperimentSection] = {}


def parse_plan(content: Mapping[str, object]) -> TrafficPlan:
    """Check a plan document; raise `ConfigurationError` naming everything that is wrong with it."""
    try:
        sections = _PlanSection.model_validate(content).experiments
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors()
        )
        raise ConfigurationError(f"the experiments cannot be used: {problems}") from error
    plan = TrafficPlan(experiments={key: _experiment(key, section) for key, section in sections.items()})
    found = [problem for one in plan.experiments.values() for problem in _problems(one)]
    found += _conflicts(tuple(one for one in plan.experiments.values() if one.status != "stopped"))
    if found:
        raise ConfigurationError(f"the experiments cannot be used: {'; '.join(found)}")
    return plan


def plan_document(plan: TrafficPlan) -> dict[str, object]:
    """Return the document that `parse_plan` reads as the same plan; defaults are left out."""
    return {"experiments": {key: _document(one) for key, one in sorted(plan.experiments.items())}}


def changed_paths(arm: Arm) -> frozenset[tuple[str, ...]]:
    """Return what an arm changes, as paths into the runtime configuration; a bundle changes everything."""
    return frozenset({()}) if arm.bundle is not None else frozenset(_leaves(arm.overrides, ()))


def variant_choices(plan: TrafficPlan) -> tuple[tuple[tuple[str, Arm], ...], ...]:
    """Return every combination of changing arms that one unit can be in; raises `ConfigurationError`."""
    choices: list[tuple[tuple[Experiment, Arm], ...]] = [()]
    for experiment in plan.running:
        changing = [arm for arm in experiment.arms if arm.changes_something]
        choices += [
            (*chosen, (experiment, arm))
            for chosen in choices
            if all(other.namespace != experiment.namespace for other, _ in chosen)
            for arm in changing
        ]
        if len(choices) > MAX_VARIANTS:
            raise ConfigurationError(
                f"the running experiments combine to more than {MAX_VARIANTS} bundles;"
                " put some of them into one namespace"
            )
    return tuple(tuple((experiment.key, arm) for experiment, arm in chosen) for chosen in choices[1:])


def _experiment(key: str, section: _ExperimentSection) -> Experiment:
    return Experiment(
        key=key,
        hypothesis=section.hypothesis,
        status=section.status,
        control=section.control,
        arms=tuple(
            Arm(name=name, buckets=_ranges(arm.buckets), overrides=arm.overrides, bundle=arm.bundle)
            for name, arm in section.arms.items()
        ),
        metrics=tuple(Metric(**metric.model_dump()) for metric in section.metrics),
        namespace=section.namespace,
        namespace_buckets=_ranges(section.namespace_buckets),
        coverage_ratio=section.coverage_ratio,
        randomisation=section.randomisation,
        intents=tuple(intent.value for intent in section.intents),
        phases=tuple(
            Phase(
                number=phase.number,
                started_at=phase.started_at,
                shares=phase.shares,
                moved=_ranges(phase.moved),
            )
            for phase in section.phases
        ),
        planned_units=section.planned_units,
        max_days=section.max_days,
        stopped_at=section.stopped_at,
        outcome=section.outcome,
    )


def _ranges(pairs: Sequence[tuple[int, int]]) -> tuple[BucketRange, ...]:
    return tuple(BucketRange(start=start, stop=stop) for start, stop in pairs)


def _problems(experiment: Experiment) -> Iterator[str]:
    key = experiment.key
    if key in RESERVED_KEYS:
        yield f"{key}: this key is reserved"
    if len(experiment.arms) < 2 or experiment.arm(experiment.control) is None:
        yield f"{key}.arms: expected {experiment.control!r} and at least one more"
    owners = [*((arm.name, arm.buckets) for arm in experiment.arms)]
    for name, buckets in (*owners, ("namespace_buckets", experiment.namespace_buckets)):
        if any(part.start >= part.stop for part in buckets):
            yield f"{key}.{name}: a range of buckets starts before it stops"
        if any(overlap([one], [other]) for one, other in combinations(buckets, 2)):
            yield f"{key}.{name}: its ranges overlap"
    for (one, some), (other, others) in combinations(owners, 2):
        if overlap(some, others):
            yield f"{key}.arms: {one!r} and {other!r} share buckets"
    if not any(arm.buckets for arm in experiment.arms):
        yield f"{key}.arms: none owns a bucket"
    names = [metric.name for metric in experiment.metrics]
    if len(names) != len(set(names)):
        yield f"{key}.metrics: a name appears twice"
    if sum(metric.role == "primary" for metric in experiment.metrics) != 1:
        yield f"{key}.metrics: expected exactly one primary metric"
    for metric in experiment.metrics:
        if (metric.kind == "ratio") != (metric.denominator is not None):
            yield f"{key}.metrics.{metric.name}: a ratio, and only a ratio, has a denominator"
    if experiment.status == "running" and not experiment.phases:
        yield f"{key}.phases: a running experiment has at least one"
    numbers = [phase.number for phase in experiment.phases]
    if numbers != sorted(set(numbers)):
        yield f"{key}.phases: numbers must rise"
    for arm in experiment.arms:
        if arm.bundle is not None and arm.overrides:
            yield f"{key}.arms.{arm.name}: a bundle and overrides exclude each other"
        yield from (
            f"{key}.arms.{arm.name}.overrides.{name}: only {', '.join(OVERRIDABLE)} may differ between arms"
            for name in arm.overrides
            if name not in OVERRIDABLE
        )


def _conflicts(unfinished: Sequence[Experiment]) -> Iterator[str]:
    for one, other in combinations(unfinished, 2):
        if one.namespace == other.namespace:
            if overlap(one.namespace_buckets, other.namespace_buckets):
                yield f"{one.key} and {other.key} share buckets of namespace {one.namespace!r}"
        elif one.status == other.status == "running":
            for path in _shared_paths(one, other):
                yield (
                    f"{one.key} and {other.key} both change {'.'.join(path) or 'the whole bundle'}:"
                    " only experiments of one namespace exclude each other"
                )


def _shared_paths(one: Experiment, other: Experiment) -> list[tuple[str, ...]]:
    """Return the paths of `one` that lie on, above or below a path of `other`."""
    others = {path for arm in other.arms for path in changed_paths(arm)}
    return sorted(
        path
        for path in {path for arm in one.arms for path in changed_paths(arm)}
        if any(path[: len(theirs)] == theirs[: len(path)] for theirs in others)
    )


def _leaves(content: Mapping[str, object], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, str(name)))
        else:
            yield (*above, str(name))


def _document(experiment: Experiment) -> dict[str, object]:
    document: dict[str, object] = {
        "hypothesis": experiment.hypothesis,
        "status": experiment.status,
        "control": experiment.control,
        "arms": {arm.name: _arm_document(arm) for arm in experiment.arms},
        "metrics": [_metric_document(metric) for metric in experiment.metrics],
        "namespace": experiment.namespace,
        "coverage_ratio": experiment.coverage_ratio,
        "randomisation": experiment.randomisation,
        "planned_units": experiment.planned_units,
        "max_days": experiment.max_days,
    }
    if experiment.namespace_buckets != ALL_BUCKETS:
        document["namespace_buckets"] = _pairs(experiment.namespace_buckets)
    if experiment.intents:
        document["intents"] = list(experiment.intents)
    if experiment.phases:
        document["phases"] = [
            {
                "number": phase.number,
                "started_at": _moment(phase.started_at),
                "shares": dict(phase.shares),
                "moved": _pairs(phase.moved),
            }
            for phase in experiment.phases
        ]
    if experiment.stopped_at is not None:
        document["stopped_at"] = _moment(experiment.stopped_at)
    if experiment.outcome is not None:
        document["outcome"] = experiment.outcome
    return document


def _arm_document(arm: Arm) -> dict[str, object]:
    document: dict[str, object] = {"buckets": _pairs(arm.buckets)}
    if arm.overrides:
        document["overrides"] = dict(arm.overrides)
    if arm.bundle is not None:
        document["bundle"] = arm.bundle
    return document


def _metric_document(metric: Metric) -> dict[str, object]:
    section = _MetricSection(
        name=metric.name,
        role=metric.role,
        kind=metric.kind,
        better=metric.better,
        margin=metric.margin,
        relative_margin=metric.relative_margin,
        denominator=metric.denominator,
        quantile=metric.quantile,
        absent=metric.absent,
    )
    return {"role": metric.role, **section.model_dump(exclude_defaults=True)}


def _pairs(ranges: Sequence[BucketRange]) -> list[list[int]]:
    return [[part.start, part.stop] for part in ranges]


def _moment(moment: datetime) -> str:
    return moment.isoformat()
