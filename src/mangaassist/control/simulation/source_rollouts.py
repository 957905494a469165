"""The rollout rules of the source documents, as they stand there; only ever compared with, never used.

`004` (CanaryDeploymentController.should_promote): from 10 scores on, a canary whose mean lies more than 5 %
below the control's, or below 0.70, is rolled back; asked every 5 minutes for 30 minutes at 5, 25 and 50 %.
The document does not say whether the scores of a look replace the earlier ones or join them, so both are
played. `US-8.5`: a t-test at every look, p < 0.05 and worse means stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mangaassist.control.simulation.report import Rate, RuleReport
from mangaassist.control.simulation.scenario import Baseline, Effect

Floats = npt.NDArray[np.float64]

LOOKS_PER_DAY = 24 * 12
STAGE_SHARES = (0.05, 0.25, 0.50)
LOOKS_PER_STAGE = 6
MIN_SCORES = 10
MAX_DROP = 0.05
FLOOR = 0.70
WATCHED_CANARY_REQUESTS = 10_000
WATCHED_SHARE = 0.05
CANARY_PER_LOOK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Scores and good ones of both arms that one look sees, and the canary requests sent until then."""

    canary: Floats
    canary_good: Floats
    control: Floats
    control_good: Floats
    canary_sent: Floats
    requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """One rule of a source: which looks it has, and when a look rolls back."""

    name: str
    windowed: bool
    worse: Callable[[_Look], npt.NDArray[np.bool_]]


def _five_percent_drop(look: _Look) -> npt.NDArray[np.bool_]:
    canary = look.canary_good / np.maximum(look.canary, 1.0)
    control = np.where(look.control > 0, look.control_good / np.maximum(look.control, 1.0), 0.85)
    drop = (control - canary) / np.maximum(control, 1e-12)
    return np.asarray((look.canary >= MIN_SCORES) & ((drop > MAX_DROP) | (canary < FLOOR)))


def _t_test(look: _Look) -> npt.NDArray[np.bool_]:
    one, other = np.maximum(look.canary, 2.0), np.maximum(look.control, 2.0)
    mean, mean_control = look.canary_good / one, look.control_good / other
    pooled = one * mean * (1.0 - mean) + other * mean_control * (1.0 - mean_control)
    error = np.sqrt(pooled / (one + other - 2.0) * (1.0 / one + 1.0 / other))
    statistic = (mean - mean_control) / np.maximum(error, 1e-12)
    p_value = 2.0 * stats.t.sf(np.abs(statistic), one + other - 2.0)
    return np.asarray((look.canary >= 2) & (statistic < 0.0) & (p_value < 0.05))


SOURCE_RULES = (
    SourceRule(name="004: 5 % drop, looks of 5 minutes", windowed=True, worse=_five_percent_drop),
    SourceRule(name="004: 5 % drop, all scores so far", windowed=False, worse=_five_percent_drop),
    SourceRule(name="US-8.5: t-test p < 0.05 at each look", windowed=False, worse=_t_test),
)


def simulate_source_rule(
    rule: SourceRule,
    *,
    baseline: Baseline,
    harm: Effect,
    traffic_per_day: float,
    replicates: int,
    generator: np.random.Generator,
) -> RuleReport:
    """Return what the rule does with healthy and with harmful candidates; it reads quality alone."""
    play = _play_windows if rule.windowed else _play_cumulative
    healthy, _ = play(rule, baseline.quality, baseline.quality, traffic_per_day, replicates, generator)
    delays, days = play(
        rule, baseline.quality, baseline.quality + harm.quality, traffic_per_day, replicates, generator
    )
    return RuleReport(
        rule=rule.name,
        false_alarms=Rate.of(int(np.isfinite(healthy).sum()), replicates),
        detections=Rate.of(int(np.isfinite(delays).sum()), replicates),
        delays=tuple(delays.tolist()),
        days=tuple(days.tolist()),
    )


def _play_windows(
    rule: SourceRule,
    quality: float,
    canary_quality: float,
    traffic_per_day: float,
    replicates: int,
    generator: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return canary requests and days until a rollback, infinite without; each look sees its own scores."""
    per_look = traffic_per_day / LOOKS_PER_DAY
    sent = np.zeros(replicates)
    delay, days = np.full(replicates, np.inf), np.full(replicates, np.inf)
    for number, share in enumerate(np.repeat(STAGE_SHARES, LOOKS_PER_STAGE), start=1):
        canary = generator.poisson(per_look * share, replicates)
        control = generator.poisson(per_look * (1.0 - share), replicates)
        sent += canary
        look = _Look(
            canary=canary.astype(np.float64),
            canary_good=generator.binomial(canary, canary_quality).astype(np.float64),
            control=control.astype(np.float64),
            control_good=generator.binomial(control, quality).astype(np.float64),
            canary_sent=sent,
            requests=number * per_look,
        )
        _note(rule.worse(look), look, traffic_per_day, delay=delay, days=days)
    return delay, days


def _play_cumulative(
    rule: SourceRule,
    quality: float,
    canary_quality: float,
    traffic_per_day: float,
    replicates: int,
    generator: np.random.Generator,
) -> tuple[Floats, Floats]:
    """The same, looking after every 20 canary requests of 10,000 at 5 %, at all scores so far."""
    totals = np.zeros((4, replicates))
    delay, days = np.full(replicates, np.inf), np.full(replicates, np.inf)
    batch = round(CANARY_PER_LOOK / WATCHED_SHARE)
    for number in range(1, WATCHED_CANARY_REQUESTS // CANARY_PER_LOOK + 1):
        canary = generator.binomial(batch, WATCHED_SHARE, replicates)
        good = generator.binomial(canary, canary_quality)
        totals += np.stack([canary, good, batch - canary, generator.binomial(batch - canary, quality)])
        look = _Look(
            canary=totals[0],
            canary_good=totals[1],
            control=totals[2],
            control_good=totals[3],
            canary_sent=totals[0],
            requests=float(number * batch),
        )
        _note(rule.worse(look), look, traffic_per_day, delay=delay, days=days)
    return delay, days


def _note(
    worse: npt.NDArray[np.bool_], look: _Look, traffic_per_day: float, *, delay: Floats, days: Floats
) -> None:
    """Write down the first rollback of each replicate."""
    first = worse & np.isinf(delay)
    delay[first] = look.canary_sent[first]
    days[first] = look.requests / traffic_per_day
