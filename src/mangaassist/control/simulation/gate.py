"""The offline gate on paired cases: how often it turns down an equal candidate, and passes a worse one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangaassist.control.simulation.report import Rate, RuleReport
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.stats.gate import GatePolicy, GateVerdict, decide
from mangaassist.stats.paired import PairedSummary

Counts = npt.NDArray[np.int64]

SOURCE_MARGIN = 0.002
SOURCE_ACCURACY = 0.90
SOURCE_CASES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTraffic:
    """The cases both systems answer: the champion's accuracy, how often the systems differ, and how many."""

    accuracy: float
    discordance: float
    cases: int
    cases_per_day: float


def study_gate(
    policy: GatePolicy,
    *,
    traffic: GateTraffic,
    harm: float,
    replicates: int,
    generator: np.random.Generator,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[RuleReport, ...]:
    """Return the report of the gate and of the sources' rules on the same cases.

    A false alarm is an equal candidate that does not pass, a detection a candidate worse by `harm` that does
    not; raises `InvalidRequestError` where the discordance cannot hold the harm.
    """
    if not abs(harm) <= traffic.discordance <= 1.0:
        raise InvalidRequestError(f"with discordance {traffic.discordance} the harm is at most as large")
    healthy = _drawn(traffic, 0.0, replicates, generator)
    harmful = _drawn(traffic, harm, replicates, generator)
    known: dict[tuple[int, int], GateVerdict] = {}

    def verdicts(tables: Counts, offset: int) -> list[GateVerdict]:
        found = []
        for place, table in enumerate(tables):
            key = (int(table[0]), int(table[1]))
            if key not in known:
                known[key] = _verdict(policy, traffic.cases, *key)
            found.append(known[key])
            progress(offset + place + 1, 2 * replicates)
        return found

    said, said_of_harm = verdicts(healthy, 0), verdicts(harmful, replicates)
    own = _report(
        "paired non-inferiority gate",
        np.array([one is GateVerdict.PASS for one in said]),
        np.array([one is GateVerdict.PASS for one in said_of_harm]),
        traffic,
        outcomes=dict(Counter(one.value for one in said)),
    )
    return (
        own,
        _half_point_rule(healthy, harmful, traffic),
        _absolute_rule(traffic, harm, replicates, generator),
    )


def _drawn(
    traffic: GateTraffic, difference: float, replicates: int, generator: np.random.Generator
) -> Counts:
    """Return gained and lost cases of each replicate."""
    gained = (traffic.discordance + difference) / 2.0
    lost = (traffic.discordance - difference) / 2.0
    table = generator.multinomial(traffic.cases, [gained, lost, 1.0 - gained - lost], replicates)
    return np.asarray(table[:, :2])


def _verdict(policy: GatePolicy, cases: int, gained: int, lost: int) -> GateVerdict:
    differences = np.repeat([1.0, -1.0, 0.0], [gained, lost, cases - gained - lost])
    return decide(PairedSummary.of(differences), {}, policy=policy).verdict


def _half_point_rule(healthy: Counts, harmful: Counts, traffic: GateTraffic) -> RuleReport:
    """003: the candidate's accuracy is at least the champion's less 0.2 points."""
    passed, passed_harm = (
        (tables[:, 0] - tables[:, 1]) / traffic.cases >= -SOURCE_MARGIN - 1e-12
        for tables in (healthy, harmful)
    )
    return _report("003: not below the champion by 0.2 points", passed, passed_harm, traffic)


def _absolute_rule(
    traffic: GateTraffic, harm: float, replicates: int, generator: np.random.Generator
) -> RuleReport:
    """US-3.2: accuracy of at least 0.90 on 500 cases, whatever the champion does."""
    passed, passed_harm = (
        generator.binomial(SOURCE_CASES, min(1.0, max(0.0, traffic.accuracy + change)), replicates)
        >= SOURCE_ACCURACY * SOURCE_CASES
        for change in (0.0, harm)
    )
    own = GateTraffic(
        accuracy=traffic.accuracy,
        discordance=traffic.discordance,
        cases=SOURCE_CASES,
        cases_per_day=traffic.cases_per_day,
    )
    return _report("US-3.2: accuracy >= 0.90 on 500 cases", passed, passed_harm, own)


def _report(
    name: str,
    passed: npt.NDArray[np.bool_],
    passed_harm: npt.NDArray[np.bool_],
    traffic: GateTraffic,
    *,
    outcomes: dict[str, int] | None = None,
) -> RuleReport:
    delays = np.where(passed_harm, np.inf, float(traffic.cases))
    return RuleReport(
        rule=name,
        false_alarms=Rate.of(int((~passed).sum()), len(passed)),
        detections=Rate.of(int((~passed_harm).sum()), len(passed_harm)),
        delays=tuple(delays.tolist()),
        days=tuple((delays / traffic.cases_per_day).tolist()),
        outcomes=outcomes or {},
        notes={"cases": float(traffic.cases), "days_of_cases": traffic.cases / traffic.cases_per_day},
    )
