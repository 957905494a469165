"""The analysis of an experiment, from sums by unit to a decision with its reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from mangaassist.control.experiments.decision import ArmSizes, CostDelta, Decision, Verdict, decide
from mangaassist.control.experiments.effects import (
    AnalysisPolicy,
    MetricEffect,
    by_phase,
    measure,
    quantile_bounds,
)
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Metric
from mangaassist.ports.observations import ObservationTable, TableShape, TableSums
from mangaassist.stats.multiplicity import benjamini_hochberg, holm
from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.quantiles import QuantileLevels
from mangaassist.stats.sample_ratio import ArmCounts, log_e_sample_ratio

COST_METRIC: Final = "cost_usd"
MOMENTS_SHOWN: Final = 14
"""Points of the interval over time."""

_ORDER: Final = (Decision.PROMOTE, Decision.CONTINUE, Decision.REVIEW, Decision.ROLLBACK)
"""Which arm speaks for the experiment: the best that any of them reached."""

Effect = MetricEffect | CannotCompute


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRequest:
    """What is asked of a table of observations.

    `shares` are the arms' shares by phase. Open questions go to a person from `last_unit` units on, and from
    `max_days` after `started_at`.
    """

    key: str
    control: str
    metrics: tuple[Metric, ...]
    shares: Mapping[int, Mapping[str, float]]
    policy: AnalysisPolicy = field(default_factory=AnalysisPolicy)
    last_unit: int | None = None
    max_days: int = 28
    started_at: datetime | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileReadout:
    """A quantile of one arm with its clustered 95 % interval; None where units are too few for one."""

    metric: str
    arm: str
    quantile: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEffect:
    """The effect of one metric in one segment; `adjusted_p` bounds the share of false finds among finds."""

    segment: str
    metric: str
    effect: Effect
    adjusted_p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmAnalysis:
    """One treatment beside control."""

    arm: str
    verdict: Verdict
    effects: Mapping[str, Effect]
    segments: tuple[SegmentEffect, ...]
    cost: CostDelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The primary metric as it stood at a moment."""

    at: datetime
    arm: str
    units: int
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What is known of an experiment; `arm` is the treatment that `decision` is about, if it is one."""

    key: str
    decision: Decision
    arm: str | None
    reasons: tuple[str, ...]
    sizes: ArmSizes
    observations: int
    arms: tuple[ArmAnalysis, ...]
    quantiles: tuple[QuantileReadout, ...]
    request: AnalysisRequest


def analyze(table: ObservationTable, request: AnalysisRequest) -> Analysis:
    """Analyse a table; raises `InvalidRequestError` when it lacks an arm or a metric."""
    shape = table.shape()
    _check(shape, request)
    sums = table.sums(request.metrics, control=request.control)
    sizes = arm_sizes(sums, request)
    treatments = [arm for arm in _shares_overall(request) if arm != request.control]
    # several treatments share the error rates
    policy = _shared(request.policy, len(treatments))
    ended = _ended(sizes, request)
    arms = tuple(_arm(sums, shape, request, arm=arm, policy=policy, ended=ended) for arm in treatments)
    best = min(arms, key=lambda one: (_ORDER.index(one.verdict.decision), -_benefit(one, request)))
    verdict, problem = best.verdict, sizes.problem(request.policy)
    if problem is not None:
        verdict = Verdict(decision=Decision.INVALID, reasons=(problem,))
    return Analysis(
        key=request.key,
        decision=verdict.decision,
        arm=best.arm if problem is None else None,
        reasons=verdict.reasons,
        sizes=sizes,
        observations=shape.rows,
        arms=arms,
        quantiles=_quantiles(table, sums, request.metrics),
        request=request,
    )


def over_time(table: ObservationTable, request: AnalysisRequest) -> tuple[Moment, ...]:
    """Return how the primary metric's interval developed; empty when observations have no time."""
    shape = table.shape()
    if shape.first_at is None or shape.last_at is None or shape.first_at == shape.last_at:
        return ()
    primary = next(metric for metric in request.metrics if metric.role == "primary")
    treatments = [arm for arm in _shares_overall(request) if arm != request.control]
    policy = _shared(request.policy, len(treatments))
    step = (shape.last_at - shape.first_at) / MOMENTS_SHOWN
    moments: list[Moment] = []
    for number in range(1, MOMENTS_SHOWN + 1):
        at = shape.last_at if number == MOMENTS_SHOWN else shape.first_at + step * number
        sums = table.sums([primary], control=request.control, by_segment=False, until=at)
        moments += [
            Moment(
                at=at,
                arm=arm,
                units=sum(sums.units.values()),
                effect=_effect(sums, request, primary, arm=arm, policy=policy),
            )
            for arm in treatments
        ]
    return tuple(moments)


def arm_sizes(sums: TableSums, request: AnalysisRequest) -> ArmSizes:
    """Return units by arm, and the anytime-valid p-value of their ratio over all phases."""
    phases = [
        ArmCounts(
            counts=tuple(sums.units.get((phase, arm), 0) for arm in weights), weights=tuple(weights.values())
        )
        for phase, weights in request.shares.items()
    ]
    overall = _shares_overall(request)
    log_e = log_e_sample_ratio(phases)
    return ArmSizes(
        units={arm: sum(count for (_, name), count in sums.units.items() if name == arm) for arm in overall},
        expected=overall,
        p_value=min(1.0, math.exp(-max(0.0, log_e))),
        mixed_units=sums.mixed_units,
    )


def _check(shape: TableShape, request: AnalysisRequest) -> None:
    unknown = [phase for phase in shape.phases if phase not in request.shares]
    if unknown:
        raise InvalidRequestError(
            f"the observations have phase {unknown[0]}, whose shares are not known; expected"
            f" {', '.join(map(str, request.shares))}"
        )
    expected = set(_shares_overall(request))
    strange = [arm for arm in shape.arms if arm not in expected]
    if strange:
        raise InvalidRequestError(
            f"the observations have an arm {strange[0]!r}; expected {', '.join(sorted(expected))}"
        )


def _arm(
    sums: TableSums,
    shape: TableShape,
    request: AnalysisRequest,
    *,
    arm: str,
    policy: AnalysisPolicy,
    ended: bool,
) -> ArmAnalysis:
    effects = {
        metric.name: _effect(sums, request, metric, arm=arm, policy=policy, with_posterior=True)
        for metric in request.metrics
    }
    effects = _with_holm(effects, request.metrics)
    cost = _cost(effects.get(COST_METRIC))
    return ArmAnalysis(
        arm=arm,
        verdict=decide(effects, request.metrics, policy=policy, ended=ended, cost=cost),
        effects=effects,
        segments=_segments(sums, shape, request, arm=arm, policy=policy),
        cost=cost,
    )


def _effect(
    sums: TableSums,
    request: AnalysisRequest,
    metric: Metric,
    *,
    arm: str,
    policy: AnalysisPolicy,
    segment: str | None = None,
    with_posterior: bool = False,
) -> Effect:
    pairs = by_phase(
        sums.sums,
        metric=metric.name,
        segment=segment,
        control=request.control,
        treatment=arm,
        shares=request.shares,
    )
    overall = _shares_overall(request)
    guardrails = max(1, sum(one.role == "guardrail" for one in request.metrics))
    primary = metric.role == "primary"
    return measure(
        metric,
        pairs,
        policy=policy,
        harm_alpha=policy.primary_alpha / 2 if primary else policy.harm_alpha / guardrails,
        planned_units=policy.planned_units * (overall[arm] + overall[request.control]),
        with_posterior=with_posterior,
    )


def _with_holm(effects: Mapping[str, Effect], metrics: Sequence[Metric]) -> dict[str, Effect]:
    """Adjust the p-values of the secondary metrics for each other."""
    changed = dict(effects)
    tested = [
        (metric.name, effect)
        for metric in metrics
        if metric.role == "secondary" and isinstance(effect := effects[metric.name], MetricEffect)
    ]
    adjusted = holm([effect.test.p_value for _, effect in tested])
    for (name, effect), p_value in zip(tested, adjusted, strict=True):
        changed[name] = replace(effect, adjusted_p=p_value)
    return changed


def _segments(
    sums: TableSums, shape: TableShape, request: AnalysisRequest, *, arm: str, policy: AnalysisPolicy
) -> tuple[SegmentEffect, ...]:
    """Return every metric in every segment, explored with a bounded share of false finds."""
    found = [
        (segment, metric.name, _effect(sums, request, metric, arm=arm, segment=segment, policy=policy))
        for segment in shape.segments
        for metric in request.metrics
    ]
    p_values = [effect.test.p_value for _, _, effect in found if isinstance(effect, MetricEffect)]
    adjusted = iter(benjamini_hochberg(p_values))
    return tuple(
        SegmentEffect(
            segment=segment,
            metric=metric,
            effect=effect,
            adjusted_p=next(adjusted) if isinstance(effect, MetricEffect) else None,
        )
        for segment, metric, effect in found
    )


def _cost(effect: Effect | None) -> CostDelta | None:
    if not isinstance(effect, MetricEffect):
        return None
    return CostDelta(
        metric=effect.metric.name,
        control=effect.control,
        treatment=effect.treatment,
        difference=effect.test.effect,
        low=effect.test.low,
        high=effect.test.high,
    )


def _quantiles(
    table: ObservationTable, sums: TableSums, metrics: Sequence[Metric]
) -> tuple[QuantileReadout, ...]:
    by_name = {metric.name: metric for metric in metrics}
    readouts = []
    for one in sums.quantiles:
        metric = by_name[one.metric]
        levels = quantile_bounds(one, metric.quantile)
        low = high = None
        if isinstance(levels, QuantileLevels) and levels.low is not None and levels.high is not None:
            low, high = table.quantile_at(metric, arm=one.arm, levels=(levels.low, levels.high))
        readouts.append(
            QuantileReadout(
                metric=one.metric,
                arm=one.arm,
                quantile=metric.quantile,
                value=one.value,
                low=low,
                high=high,
            )
        )
    return tuple(readouts)


def _shares_overall(request: AnalysisRequest) -> Mapping[str, float]:
    """Return the arms with their latest shares."""
    weights = request.shares[max(request.shares)]
    total = sum(weights.values())
    return {arm: weight / total for arm, weight in weights.items()}


def _shared(policy: AnalysisPolicy, treatments: int) -> AnalysisPolicy:
    return replace(
        policy,
        primary_alpha=policy.primary_alpha / treatments,
        harm_alpha=policy.harm_alpha / treatments,
        secondary_alpha=policy.secondary_alpha / treatments,
        margin_alpha=policy.margin_alpha / treatments,
    )


def _ended(sizes: ArmSizes, request: AnalysisRequest) -> bool:
    if request.last_unit is not None and sum(sizes.units.values()) >= request.last_unit:
        return True
    return (
        request.started_at is not None
        and request.now is not None
        and request.now - request.started_at >= timedelta(days=request.max_days)
    )


def _benefit(one: ArmAnalysis, request: AnalysisRequest) -> float:
    primary = next(metric for metric in request.metrics if metric.role == "primary")
    effect = one.effects[primary.name]
    return effect.sign * effect.test.effect if isinstance(effect, MetricEffect) else -math.inf
