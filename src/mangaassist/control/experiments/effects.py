"""What the sums of an experiment say of each metric: values, anytime-valid intervals, posterior, CUPED.

Estimates are made within each phase, clustered by unit, and the phases' differences are then combined; raw
sums of two phases are never pooled, because their mix of units differs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mangaassist.domain.experiments import Metric
from mangaassist.ports.observations import QuantileSums, UnitSums
from mangaassist.stats.arm_of_outcome import BinaryStage, log_e_harm
from mangaassist.stats.bayes import BayesianComparison, compare_effect, compare_rates
from mangaassist.stats.confidence_sequence import ArmValue, Phase, count_until, difference_sequence
from mangaassist.stats.cuped import cuped
from mangaassist.stats.estimates import Alternative, EffectTest
from mangaassist.stats.moments import BinomialCounts, JointMoments, Moments, PairMoments
from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.quantiles import QuantileLevels, clustered_quantile_levels
from mangaassist.stats.ratios import linearised, linearised_with_covariate


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisPolicy:
    """The error rates of an analysis; together at most 5 % of identical variants are judged different.

    `primary_alpha` is two-sided: half of it promotes a variant that is no better, half stops one that is no
    worse. `harm_alpha` is shared by the guardrails, `srm_alpha` by all looks at the arms' sizes.
    `margin_alpha` bounds the chance to accept a guardrail that is worse by its margin.
    """

    primary_alpha: float = 0.03
    harm_alpha: float = 0.01
    srm_alpha: float = 0.001
    margin_alpha: float = 0.05
    secondary_alpha: float = 0.05
    segment_false_discovery_rate: float = 0.10
    largest_loss_ratio: float = 0.001
    largest_mixed_ratio: float = 0.01
    prior_deviation: float = 0.3
    planned_units: int = 20_000
    min_units: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSums:
    """Both arms of one metric in one phase; `share` is the treatment's share of the units of the two."""

    share: float
    control: UnitSums
    treatment: UnitSums


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEffect:
    """Treatment minus control in one metric.

    `test` is the two-sided anytime-valid interval, `benefit_low` and `benefit_high` the one-sided bounds of
    how much better the treatment is (negative: worse). `harm_shown` is decided at the metric's share of the
    harm level.
    """

    metric: Metric
    control: float
    treatment: float
    units_control: int
    units_treatment: int
    test: EffectTest
    benefit_low: float
    benefit_high: float
    harm_shown: bool
    harm_alpha: float
    margin: float
    posterior: BayesianComparison | None
    variance_reduction: float | None = None
    units_needed: int | None = None
    adjusted_p: float | None = None

    @property
    def sign(self) -> float:
        """1 where more is better, else -1."""
        return 1.0 if self.metric.better == "higher" else -1.0

    @property
    def relative(self) -> float | None:
        """The effect as a share of control's value; None where that is zero."""
        return self.test.effect / abs(self.control) if self.control else None

    @property
    def benefit_shown(self) -> bool:
        """Whether the treatment is better, at the two-sided level."""
        return self.test.low > 0.0 if self.sign > 0 else self.test.high < 0.0

    @property
    def within_margin(self) -> bool:
        """Whether harm beyond the tolerated margin is excluded; without a margin, always."""
        return self.margin == 0.0 or self.benefit_low > -self.margin

    @property
    def chance_better(self) -> float | None:
        """Posterior chance that the treatment is better."""
        if self.posterior is None:
            return None
        chance = self.posterior.chance_treatment_better
        return chance if self.sign > 0 else 1.0 - chance

    @property
    def expected_loss(self) -> float | None:
        """What choosing the treatment gives up on average, in the metric's units."""
        if self.posterior is None:
            return None
        return self.posterior.loss_of_treatment if self.sign > 0 else self.posterior.loss_of_control


def measure(
    metric: Metric,
    phases: Sequence[PhaseSums],
    *,
    policy: AnalysisPolicy,
    harm_alpha: float,
    planned_units: float,
    with_posterior: bool = True,
) -> MetricEffect | CannotCompute:
    """Return the effect of one metric over all phases, or why there is none yet.

    The posterior of single trials costs a quadrature, a hundred times the rest; where nobody reads it, it
    can be left out.
    """
    arms: list[tuple[PhaseSums, Moments, Moments]] = []
    reductions: list[float] = []
    for phase in phases:
        adjusted = _arm_moments(phase, reductions)
        if isinstance(adjusted, CannotCompute):
            return adjusted
        arms.append((phase, *adjusted))
    pairs = [
        Phase(share=phase.share, control=ArmValue.of_mean(control), treatment=ArmValue.of_mean(treatment))
        for phase, control, treatment in arms
    ]

    def sequence(alpha: float, alternative: Alternative) -> EffectTest | CannotCompute:
        return difference_sequence(
            pairs,
            alpha=alpha,
            planned_count=planned_units,
            alternative=alternative,
            min_units=policy.min_units,
        )

    higher = metric.better == "higher"
    alpha = policy.primary_alpha if metric.role == "primary" else policy.secondary_alpha
    test = sequence(alpha, "two-sided")
    harm = sequence(harm_alpha, "less" if higher else "greater")
    floor = sequence(policy.margin_alpha, "greater" if higher else "less")
    for found in (test, harm, floor):
        if isinstance(found, CannotCompute):
            return found
    assert isinstance(test, EffectTest)
    assert isinstance(harm, EffectTest)
    assert isinstance(floor, EffectTest)
    control = _pooled_control(arms)
    log_e = _exact_log_e(metric, phases)
    benefit_high = harm.high if higher else -harm.low
    return MetricEffect(
        metric=metric,
        control=control,
        treatment=control + test.effect,
        units_control=sum(phase.control.units for phase in phases),
        units_treatment=sum(phase.treatment.units for phase in phases),
        test=test,
        benefit_low=floor.low if higher else -floor.high,
        benefit_high=benefit_high,
        harm_shown=benefit_high < 0.0 if log_e is None else log_e >= -math.log(harm_alpha),
        harm_alpha=harm_alpha,
        margin=metric.margin * abs(control) if metric.relative_margin else metric.margin,
        posterior=_posterior(phases, test, control, policy) if with_posterior else None,
        variance_reduction=_mean(reductions),
        units_needed=_units_needed(test, arms, alpha=alpha, planned_units=planned_units),
    )


def quantile_bounds(sums: QuantileSums, quantile: float) -> QuantileLevels | CannotCompute:
    """Return the levels at which a clustered quantile's 95 % interval ends (Woodruff)."""
    return clustered_quantile_levels(
        PairMoments.from_sums(
            n=sums.units,
            total_y=sums.k - sums.y,
            total_x=sums.k,
            total_squares_y=sums.kk - 2 * sums.yk + sums.yy,
            total_squares_x=sums.kk,
            total_products=sums.kk - sums.yk,
        ),
        quantile,
    )


def _arm_moments(phase: PhaseSums, reductions: list[float]) -> tuple[Moments, Moments] | CannotCompute:
    """Return the linearised moments of both arms, adjusted by what units did before where that is known."""
    if phase.control.covariate_units and phase.treatment.covariate_units:
        control = linearised_with_covariate(_joint(phase.control))
        treatment = linearised_with_covariate(_joint(phase.treatment))
        if isinstance(control, PairMoments) and isinstance(treatment, PairMoments):
            adjustment = cuped(control, treatment)
            if not isinstance(adjustment, CannotCompute):
                reductions.append(adjustment.variance_reduction)
                return adjustment.control, adjustment.treatment
    plain_control = linearised(_joint(phase.control).pair(0, 1))
    plain_treatment = linearised(_joint(phase.treatment).pair(0, 1))
    if isinstance(plain_control, CannotCompute):
        return plain_control
    if isinstance(plain_treatment, CannotCompute):
        return plain_treatment
    return plain_control, plain_treatment


def _joint(sums: UnitSums) -> JointMoments:
    return JointMoments.from_sums(
        n=sums.units,
        totals=(sums.y, sums.k, sums.x),
        total_products=(
            (sums.yy, sums.yk, sums.yx),
            (sums.yk, sums.kk, sums.kx),
            (sums.yx, sums.kx, sums.xx),
        ),
    )


def _pooled_control(arms: Sequence[tuple[PhaseSums, Moments, Moments]]) -> float:
    """Return control's value over the phases, weighted as their differences are."""
    weights = [
        (control.n + treatment.n) * phase.share * (1.0 - phase.share) for phase, control, treatment in arms
    ]
    values = [control.mean for _, control, _ in arms]
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)


def _exact_log_e(metric: Metric, phases: Sequence[PhaseSums]) -> float | None:
    """Return the log e-value of harm where every unit has exactly one 0 or 1, else None."""
    if metric.kind not in ("binary", "continuous") or not all(
        _is_one_trial(sums) for phase in phases for sums in (phase.control, phase.treatment)
    ):
        return None
    failures_rare = False
    stages = []
    for phase in phases:
        counts = {}
        for name, sums in (("control", phase.control), ("treatment", phase.treatment)):
            good = sums.y if metric.better == "higher" else sums.units - sums.y
            counts[name] = BinomialCounts(n=sums.units, successes=round(good))
        failures_rare = failures_rare or counts["control"].rate > 0.95
        stages.append(BinaryStage(share=phase.share, **counts))
    if failures_rare:
        return log_e_harm(stages, failure_strength=100.0, success_strength=None)
    return log_e_harm(stages, failure_strength=500.0, success_strength=2000.0)


def _is_one_trial(sums: UnitSums) -> bool:
    """Whether every unit has one value and all are 0 or 1."""
    return (
        sums.units > 0
        and sums.k == sums.units == sums.kk
        and math.isclose(sums.y, sums.yy)
        and math.isclose(sums.y, round(sums.y))
        and 0 <= sums.y <= sums.units
    )


def _posterior(
    phases: Sequence[PhaseSums], test: EffectTest, control: float, policy: AnalysisPolicy
) -> BayesianComparison | None:
    """Return the posterior of the difference: Beta where units are single trials, else normal.

    The normal prior is on the relative difference, around zero; flat where control is zero.
    """
    if len(phases) == 1 and _is_one_trial(phases[0].control) and _is_one_trial(phases[0].treatment):
        arms = [
            BinomialCounts(n=sums.units, successes=round(sums.y))
            for sums in (phases[0].control, phases[0].treatment)
        ]
        return compare_rates(arms[0], arms[1])
    if test.standard_error is None or test.standard_error <= 0.0:
        return None
    scale = abs(control)
    return compare_effect(
        test.effect,
        test.standard_error,
        prior_deviation=policy.prior_deviation * scale if scale > 0.0 else None,
    )


def _units_needed(
    test: EffectTest,
    arms: Sequence[tuple[PhaseSums, Moments, Moments]],
    *,
    alpha: float,
    planned_units: float,
) -> int | None:
    """Return how many more units would settle an effect of the size seen; 0 when it is settled."""
    if test.low > 0.0 or test.high < 0.0:
        return 0
    if test.standard_error is None or test.effect == 0.0:
        return None
    units = sum(control.n + treatment.n for _, control, treatment in arms)
    count = count_until(
        abs(test.effect),
        variance=test.standard_error**2 * units,
        alpha=alpha / 2,
        planned_count=planned_units,
    )
    return None if count is None else max(0, math.ceil(count) - units)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def by_phase(
    sums: Sequence[UnitSums],
    *,
    metric: str,
    segment: str | None,
    control: str,
    treatment: str,
    shares: Mapping[int, Mapping[str, float]],
) -> list[PhaseSums]:
    """Return the pairs of one metric, phase by phase; phases without units of both arms are left out."""
    found = {(one.phase, one.arm): one for one in sums if one.metric == metric and one.segment == segment}
    pairs = []
    for phase, weights in sorted(shares.items()):
        here, there = found.get((phase, control)), found.get((phase, treatment))
        if here is not None and there is not None:
            share = weights[treatment] / (weights[treatment] + weights[control])
            pairs.append(PhaseSums(share=share, control=here, treatment=there))
    return pairs
