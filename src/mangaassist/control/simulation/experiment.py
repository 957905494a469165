"""A/B experiments looked at every day: the analysis of `control.experiments`, and the sources' t-tests.

Harm is read on arrays of replicates with the e-process that `control.experiments` uses; where a benefit may
have been shown, `control.experiments` itself decides. `tests/simulation` holds the two to the same decisions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mangaassist.control.experiments.decision import Decision, decide
from mangaassist.control.experiments.effects import AnalysisPolicy, PhaseSums, measure
from mangaassist.control.simulation.report import Rate, RuleReport
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Metric
from mangaassist.ports.observations import UnitSums
from mangaassist.stats.arm_of_outcome import BinaryStage, log_e_harm, log_e_share_bound
from mangaassist.stats.confidence_sequence import half_width
from mangaassist.stats.moments import BinomialCounts

Floats = npt.NDArray[np.float64]

RARE_FAILURES = 0.95
SOURCE_CRITICAL = 2
SOURCE_EFFECT = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RateMetric:
    """A binary metric of one unit: its rate in control, and by how much a harmful treatment changes it."""

    metric: Metric
    control: float
    harm: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 < self.control < 1.0 and 0.0 <= self.control + self.harm <= 1.0):
            raise InvalidRequestError(f"the rates of {self.metric.name} must lie between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTraffic:
    """Units a day in both arms together, the treatment's share of them, and the days it runs."""

    units_per_day: float
    days: int = 28
    share: float = 0.5


DEFAULT_METRICS = (
    RateMetric(metric=Metric(name="thumbs_up_rate", role="primary", kind="binary"), control=0.70, harm=-0.04),
    RateMetric(metric=Metric(name="conversion_rate", role="guardrail", kind="binary"), control=0.10),
    RateMetric(
        metric=Metric(name="escalation_rate", role="guardrail", kind="binary", better="lower"), control=0.15
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """The day on which each replicate was decided (0: never) and how."""

    days: npt.NDArray[np.int64]
    decisions: list[str]


def study_experiment(
    policy: AnalysisPolicy,
    metrics: Sequence[RateMetric],
    *,
    traffic: ExperimentTraffic,
    replicates: int,
    generator: np.random.Generator,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[RuleReport, ...]:
    """Return the report of the policy and of the sources' rules, all on the same observations."""
    rules: list[tuple[str, Callable[[Floats], list[str]]]] = [
        ("anytime-valid analysis", lambda counts: simulated_decisions(counts, metrics, policy, traffic)),
        ("US-8.5: nightly t-test, stop when worse", lambda counts: _nightly_stop(counts, metrics)),
        ("004: |t| >= 1.96 each day", _recommended),
    ]
    ends: dict[tuple[str, bool], _Ends] = {}
    total = 2 * traffic.days
    for harmful in (False, True):
        counts = np.zeros((len(metrics), 4, replicates))  # control n and successes, treatment n and successes
        day_of = {name: np.zeros(replicates, dtype=np.int64) for name, _ in rules}
        said = {name: np.full(replicates, Decision.CONTINUE.value, dtype=object) for name, _ in rules}
        for day in range(1, traffic.days + 1):
            counts += _drawn(metrics, traffic, replicates, generator, harmful=harmful)
            for name, rule in rules:
                open_rows = np.flatnonzero(day_of[name] == 0)
                decided = np.array(rule(counts[:, :, open_rows]), dtype=object)
                final = decided != Decision.CONTINUE.value
                day_of[name][open_rows[final]] = day
                said[name][open_rows[final]] = decided[final]
            progress(day + traffic.days * harmful, total)
        for name, _ in rules:
            ends[name, harmful] = _Ends(days=day_of[name], decisions=said[name].tolist())
    return tuple(_report(name, ends[name, False], ends[name, True], traffic) for name, _ in rules)


def _drawn(
    metrics: Sequence[RateMetric],
    traffic: ExperimentTraffic,
    replicates: int,
    generator: np.random.Generator,
    *,
    harmful: bool,
) -> Floats:
    """Return one day of observations; a unit shows every metric, independently."""
    units = round(traffic.units_per_day)
    treated = generator.binomial(units, traffic.share, replicates)
    rows = []
    for one in metrics:
        good = generator.binomial(units - treated, one.control)
        treated_good = generator.binomial(treated, one.control + (one.harm if harmful else 0.0))
        rows.append(np.stack([units - treated, good, treated, treated_good]))
    return np.stack(rows).astype(np.float64)


def simulated_decisions(
    counts: Floats, metrics: Sequence[RateMetric], policy: AnalysisPolicy, traffic: ExperimentTraffic
) -> list[str]:
    """Decide for each replicate."""
    decided = [Decision.CONTINUE.value] * counts.shape[2]
    harmed = _harmed(counts, metrics, policy, traffic)
    for row in np.flatnonzero(harmed):
        decided[row] = Decision.ROLLBACK.value
    for row in np.flatnonzero(~harmed & _may_be_better(counts, metrics, policy)):
        decided[row] = analysed(counts[:, :, row], metrics, policy=policy, share=traffic.share).value
    return decided


def analysed(
    counts: Floats, metrics: Sequence[RateMetric], *, policy: AnalysisPolicy, share: float
) -> Decision:
    """Return the decision of `control.experiments` on units and hits of both arms by metric."""
    effects = {
        one.metric.name: measure(
            one.metric,
            [_sums(one.metric.name, counts[place], share)],
            policy=policy,
            harm_alpha=_harm_alpha(one.metric, metrics, policy),
            planned_units=policy.planned_units,
        )
        for place, one in enumerate(metrics)
    }
    return decide(effects, [one.metric for one in metrics], policy=policy, ended=False, cost=None).decision


def _harmed(
    counts: Floats, metrics: Sequence[RateMetric], policy: AnalysisPolicy, traffic: ExperimentTraffic
) -> npt.NDArray[np.bool_]:
    """Return where the e-process shows a metric to be worse."""
    harmed = np.zeros(counts.shape[2], dtype=bool)
    for place, one in enumerate(metrics):
        bad, good, treated_bad, treated_good = _by_worth(one, counts[place])
        needed = -math.log(_harm_alpha(one.metric, metrics, policy))
        share = np.full(len(bad), traffic.share)
        largest = log_e_share_bound(treated_bad, bad, share=share)
        largest += log_e_share_bound(good, treated_good, share=1.0 - share)
        for row in np.flatnonzero((largest >= needed) & ~harmed):
            stage = BinaryStage(
                share=traffic.share,
                treatment=_counts(treated_good[row], treated_bad[row]),
                control=_counts(good[row], bad[row]),
            )
            rare = stage.control.rate > RARE_FAILURES
            log_e = log_e_harm(
                [stage],
                failure_strength=100.0 if rare else 500.0,
                success_strength=None if rare else 2_000.0,
            )
            harmed[row] = log_e >= needed
    return harmed


def _may_be_better(
    counts: Floats, metrics: Sequence[RateMetric], policy: AnalysisPolicy
) -> npt.NDArray[np.bool_]:
    """Return a superset of the replicates whose primary metric may be shown to be better."""
    place = next(at for at, one in enumerate(metrics) if one.metric.role == "primary")
    bad, good, treated_bad, treated_good = _by_worth(metrics[place], counts[place])
    n, treated = np.maximum(bad + good, 1.0), np.maximum(treated_bad + treated_good, 1.0)
    rate, treated_rate = good / n, treated_good / treated
    count = n + treated
    variance = count * (rate * (1.0 - rate) / n + treated_rate * (1.0 - treated_rate) / treated)
    half = half_width(
        variance, count, alpha=policy.primary_alpha, planned_count=policy.planned_units, one_sided=False
    )
    # the analysis divides by n - 1; the tenth covers the difference
    return np.asarray(treated_rate - rate >= 0.9 * half)


def _by_worth(one: RateMetric, counts: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return bad and good units of control and of the treatment."""
    n, hits, treated, treated_hits = counts
    if one.metric.better == "lower":
        return hits, n - hits, treated_hits, treated - treated_hits
    return n - hits, hits, treated - treated_hits, treated_hits


def _counts(good: float, bad: float) -> BinomialCounts:
    return BinomialCounts(n=round(good + bad), successes=round(good))


def _harm_alpha(metric: Metric, metrics: Sequence[RateMetric], policy: AnalysisPolicy) -> float:
    """Return the metric's share of the harm level, as `control.experiments.analysis` gives it."""
    if metric.role == "primary":
        return policy.primary_alpha / 2
    return policy.harm_alpha / max(1, sum(one.metric.role == "guardrail" for one in metrics))


def _sums(name: str, counts: Floats, share: float) -> PhaseSums:
    arms = []
    for arm, n, good in (("control", counts[0], counts[1]), ("treatment", counts[2], counts[3])):
        arms.append(
            UnitSums(
                metric=name,
                phase=1,
                arm=arm,
                segment=None,
                units=int(n),
                y=float(good),
                k=float(n),
                x=0.0,
                yy=float(good),
                kk=float(n),
                xx=0.0,
                yk=float(good),
                yx=0.0,
                kx=0.0,
            )
        )
    return PhaseSums(share=share, control=arms[0], treatment=arms[1])


def _t_statistics(counts: Floats) -> tuple[Floats, Floats]:
    """Return Student's t of treatment minus control by metric, and its degrees of freedom."""
    n, good, treated, treated_good = counts.transpose(1, 0, 2)
    rate, treated_rate = good / n, treated_good / treated
    pooled = (n * rate * (1 - rate) + treated * treated_rate * (1 - treated_rate)) / (n + treated - 2)
    return (treated_rate - rate) / np.sqrt(
        np.maximum(pooled * (1 / n + 1 / treated), 1e-300)
    ), n + treated - 2


def _nightly_stop(counts: Floats, metrics: Sequence[RateMetric]) -> list[str]:
    """`check_experiment_significance`: any of the first two metrics significantly lower stops."""
    statistic, degrees = _t_statistics(counts)
    signs = np.array([1.0 if one.metric.better == "higher" else -1.0 for one in metrics])[:, None]
    significant = 2.0 * stats.t.sf(np.abs(statistic), degrees) < 0.05
    worse = (significant & (statistic * signs < 0.0))[:SOURCE_CRITICAL].any(axis=0)
    return [Decision.ROLLBACK.value if one else Decision.CONTINUE.value for one in worse]


def _recommended(counts: Floats) -> list[str]:
    """`_recommend` on the first metric at equal cost: |t| >= 1.96 and an effect above 0.02."""
    statistic, _ = _t_statistics(counts)
    effect = counts[0, 3] / counts[0, 2] - counts[0, 1] / counts[0, 0]
    shown = np.abs(statistic[0]) >= 1.96
    return [
        Decision.PROMOTE.value
        if sure and size > SOURCE_EFFECT
        else Decision.ROLLBACK.value
        if sure and size < -SOURCE_EFFECT
        else Decision.CONTINUE.value
        for sure, size in zip(shown, effect, strict=True)
    ]


def _report(name: str, healthy: _Ends, harmful: _Ends, traffic: ExperimentTraffic) -> RuleReport:
    rolled_back, promoted = (
        sum(said == wanted.value for said in healthy.decisions)
        for wanted in (Decision.ROLLBACK, Decision.PROMOTE)
    )
    count = len(healthy.decisions)
    found = np.array([said == Decision.ROLLBACK.value for said in harmful.decisions])
    days = np.where(found, harmful.days, np.inf)
    return RuleReport(
        rule=name,
        false_alarms=Rate.of(rolled_back, count),
        detections=Rate.of(int(found.sum()), len(found)),
        delays=tuple((days * traffic.units_per_day).tolist()),
        days=tuple(days.tolist()),
        outcomes=dict(Counter(healthy.decisions)),
        notes={
            "false_promotion_rate": promoted / count,
            "false_decision_rate": (rolled_back + promoted) / count,
        },
    )
