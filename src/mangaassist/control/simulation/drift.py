"""Weekly checks of the mix of categories: ours, the sources' 5-point rule, and checks that know nothing.

A check is worth something only beside one that always alarms and one that alarms by the calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangaassist.control.simulation.report import Rate, RuleReport
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.stats.categorical_drift import DriftThresholds, drift_figures

Floats = npt.NDArray[np.float64]
Alarms = npt.NDArray[np.bool_]

WEEKS_WATCHED = 12
DAYS_PER_WEEK = 7.0
SOURCE_POINTS = 0.05
CALENDAR_WEEKS = 4
SOURCE_MIX = {
    "recommendation": 0.35,
    "product_question": 0.22,
    "faq": 0.18,
    "order_tracking": 0.12,
    "chitchat": 0.08,
    "escalation": 0.05,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTraffic:
    """The mix before and after a drift, requests a week, and how many requests the baseline was made of."""

    mix: Mapping[str, float]
    drifted: Mapping[str, float]
    requests_per_week: int
    baseline_requests: int = 20_000


def drifted_mix(mix: Mapping[str, float], changes: Mapping[str, float]) -> dict[str, float]:
    """Return the mix with some shares changed and the others scaled; a new category may appear."""
    moved = {name: mix.get(name, 0.0) + change for name, change in changes.items()}
    rest = 1.0 - sum(moved.values())
    kept = {name: share for name, share in mix.items() if name not in moved}
    if min([rest, *moved.values()]) < 0.0 or not kept:
        raise InvalidRequestError("the changed shares must lie between 0 and 1 and leave room for the others")
    scale = rest / sum(kept.values())
    return {**{name: share * scale for name, share in kept.items()}, **moved}


def study_drift(
    thresholds: DriftThresholds,
    *,
    traffic: DriftTraffic,
    replicates: int,
    generator: np.random.Generator,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[RuleReport, ...]:
    """Return the report of each check; a false alarm is one unchanged week that alarms."""
    names = [*traffic.mix, *(name for name in traffic.drifted if name not in traffic.mix)]
    before, after = (
        np.array([mix.get(name, 0.0) for name in names]) for mix in (traffic.mix, traffic.drifted)
    )
    before, after = before / before.sum(), after / after.sum()
    baseline = generator.multinomial(traffic.baseline_requests, before, replicates).astype(np.float64)
    rules: dict[str, Callable[[Floats, int], Alarms]] = {
        "chi-square with effect floor": lambda week, _: _alarms(thresholds, baseline, week),
        "US-4.2: any share moved by 5 points": lambda week, _: _five_points(baseline, week),
        "always alarm": lambda week, _: np.ones(len(week), dtype=bool),
        f"alarm every {CALENDAR_WEEKS} weeks": lambda week, number: np.full(
            len(week), number % CALENDAR_WEEKS == 0
        ),
    }
    total = 2 * WEEKS_WATCHED
    false = dict.fromkeys(rules, 0)
    found_in = {name: np.full(replicates, np.inf) for name in rules}
    start = int(generator.integers(0, CALENDAR_WEEKS))
    for number in range(1, WEEKS_WATCHED + 1):
        unchanged = _week(traffic, before, replicates, generator)
        changed = _week(traffic, after, replicates, generator)
        for name, rule in rules.items():
            false[name] += int(rule(unchanged, number).sum())
            late = found_in[name]
            late[np.isinf(late) & rule(changed, number + start)] = number
        progress(2 * number, total)
    return tuple(_report(name, false[name], found_in[name], traffic, replicates=replicates) for name in rules)


def _week(traffic: DriftTraffic, mix: Floats, replicates: int, generator: np.random.Generator) -> Floats:
    return generator.multinomial(traffic.requests_per_week, mix, replicates).astype(np.float64)


def _alarms(thresholds: DriftThresholds, baseline: Floats, week: Floats) -> Alarms:
    enough = np.minimum(baseline.sum(axis=1), week.sum(axis=1)) >= thresholds.min_count
    return np.asarray(drift_figures(baseline, week).alarms(thresholds) & enough)


def _five_points(baseline: Floats, week: Floats) -> Alarms:
    """`check_intent_drift`: shares of the baseline's categories only, without regard to the counts."""
    was = baseline / baseline.sum(axis=1, keepdims=True)
    share = week / week.sum(axis=1, keepdims=True)
    return np.asarray(((np.abs(share - was) > SOURCE_POINTS) & (was > 0.0)).any(axis=1))


def _report(
    name: str, false_alarms: int, weeks: Floats, traffic: DriftTraffic, *, replicates: int
) -> RuleReport:
    return RuleReport(
        rule=name,
        false_alarms=Rate.of(false_alarms, replicates * WEEKS_WATCHED),
        detections=Rate.of(int((weeks == 1.0).sum()), replicates),
        delays=tuple((weeks * traffic.requests_per_week).tolist()),
        days=tuple((weeks * DAYS_PER_WEEK).tolist()),
        notes={
            "requests_per_week": float(traffic.requests_per_week),
            "found_within_12_weeks": float(np.isfinite(weeks).mean()),
        },
    )
