"""The rules that turn effects into PROMOTE, CONTINUE, ROLLBACK, REVIEW or INVALID, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mangaassist.control.experiments.effects import AnalysisPolicy, MetricEffect
from mangaassist.domain.experiments import Metric
from mangaassist.stats.outcome import CannotCompute


class Decision(StrEnum):
    """What to do with an experiment."""

    PROMOTE = "PROMOTE"
    CONTINUE = "CONTINUE"
    ROLLBACK = "ROLLBACK"
    REVIEW = "REVIEW"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSizes:
    """Whether units arrive in the arms as they were assigned; `p_value` is valid at every look."""

    units: Mapping[str, int]
    expected: Mapping[str, float]
    p_value: float
    mixed_units: int

    @property
    def mixed_ratio(self) -> float:
        """Share of the units that were seen in more than one arm."""
        total = sum(self.units.values()) + self.mixed_units
        return self.mixed_units / total if total else 0.0

    def problem(self, policy: AnalysisPolicy) -> str | None:
        """Return why the arms cannot be compared, or None when they can."""
        if self.p_value < policy.srm_alpha:
            return (
                f"sample ratio mismatch: {_counts(self.units)} units where"
                f" {', '.join(f'{share:.1%}' for share in self.expected.values())} were assigned"
                f" (anytime p = {self.p_value:.2g} < {policy.srm_alpha:g}); the comparison means nothing"
            )
        if self.mixed_ratio > policy.largest_mixed_ratio:
            return (
                f"{self.mixed_units:,} units ({self.mixed_ratio:.1%}) were seen in more than one arm;"
                " assignment is not sticky"
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostDelta:
    """What the treatment costs beside control, in the cost metric's unit; the interval is anytime-valid."""

    metric: str
    control: float
    treatment: float
    difference: float
    low: float
    high: float

    @property
    def relative(self) -> float | None:
        """The difference as a share of control's cost."""
        return self.difference / self.control if self.control else None

    def per_month(self, answers_per_day: float) -> float:
        """Return the difference of 30 days at this volume."""
        return self.difference * answers_per_day * 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision on one treatment arm and why."""

    decision: Decision
    reasons: tuple[str, ...]


def decide(
    effects: Mapping[str, MetricEffect | CannotCompute],
    metrics: Sequence[Metric],
    *,
    policy: AnalysisPolicy,
    ended: bool,
    cost: CostDelta | None,
) -> Verdict:
    """Judge one treatment whose arms are comparable. `ended`: the planned units or days are used up."""
    primary = next(metric for metric in metrics if metric.role == "primary")
    known = {name: effect for name, effect in effects.items() if isinstance(effect, MetricEffect)}
    harmed = [
        effect
        for metric in metrics
        if metric.role != "secondary" and (effect := known.get(metric.name)) is not None and effect.harm_shown
    ]
    if harmed:
        return Verdict(decision=Decision.ROLLBACK, reasons=tuple(_harm(effect) for effect in harmed))
    main = effects[primary.name]
    if isinstance(main, CannotCompute):
        return _undecided((f"{primary.name}: {main.detail}",), ended)
    better, why = _good_enough(main, policy, cost)
    if not better:
        return _undecided((why,), ended)
    open_questions = [
        question
        for metric in metrics
        if metric.role == "guardrail" and (question := _open(metric, effects[metric.name])) is not None
    ]
    if open_questions:
        return _undecided((why, *open_questions), ended)
    return Verdict(decision=Decision.PROMOTE, reasons=(why, *_cost_reason(cost)))


def _good_enough(main: MetricEffect, policy: AnalysisPolicy, cost: CostDelta | None) -> tuple[bool, str]:
    """Whether the primary metric, perhaps with the cost, speaks for the treatment."""
    loss, allowed = main.expected_loss, policy.largest_loss_ratio * _scale(main)
    if main.benefit_shown and (loss is None or loss <= allowed):
        return True, f"{main.metric.label} is better: {_effect(main)}"
    cheaper = cost is not None and cost.high < 0.0
    if main.margin > 0.0 and main.within_margin and cheaper:
        return True, (
            f"{main.metric.label} is not worse by more than {main.margin:.4g}, and it is cheaper:"
            f" {_effect(main)}"
        )
    if main.benefit_shown:
        return False, f"{main.metric.label} is better, but its expected loss {loss:.2g} exceeds {allowed:.2g}"
    needed = (
        f"; about {main.units_needed:,} more units would settle an effect of this size"
        if main.units_needed
        else ""
    )
    return False, f"{main.metric.label} is undecided: {_effect(main)}{needed}"


def _open(metric: Metric, effect: MetricEffect | CannotCompute) -> str | None:
    """Return what is not yet known of a guardrail, or None when it is within its margin."""
    if isinstance(effect, CannotCompute):
        return f"guardrail {metric.name}: {effect.detail}"
    if effect.within_margin:
        return None
    return (
        f"guardrail {metric.label} may still be worse by {max(0.0, -effect.benefit_low):.4g},"
        f" more than its margin {effect.margin:.4g}: {_effect(effect)}"
    )


def _undecided(reasons: tuple[str, ...], ended: bool) -> Verdict:
    if ended:
        planned = "the planned units or days are used up: a person decides"
        return Verdict(decision=Decision.REVIEW, reasons=(*reasons, planned))
    return Verdict(decision=Decision.CONTINUE, reasons=reasons)


def _scale(effect: MetricEffect) -> float:
    """What an expected loss is measured by: a share of one for rates, else control's value."""
    return 1.0 if effect.metric.kind in ("binary", "quantile") else abs(effect.control)


def _harm(effect: MetricEffect) -> str:
    return f"{effect.metric.label} is worse, at level {effect.harm_alpha:g}: {_effect(effect)}"


def _effect(effect: MetricEffect) -> str:
    relative = f", {effect.relative:+.1%}" if effect.relative is not None else ""
    return (
        f"{effect.control:.4g} -> {effect.treatment:.4g} (difference {effect.test.effect:+.4g}{relative};"
        f" {effect.test.confidence:.0%} interval {effect.test.low:+.4g} to {effect.test.high:+.4g})"
    )


def _cost_reason(cost: CostDelta | None) -> tuple[str, ...]:
    if cost is None:
        return ()
    relative = f" ({cost.relative:+.1%})" if cost.relative is not None else ""
    return (f"{cost.metric} changes by {cost.difference:+.4g}{relative}",)


def _counts(units: Mapping[str, int]) -> str:
    return " / ".join(f"{count:,}" for count in units.values())
