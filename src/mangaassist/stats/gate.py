"""The gate on paired cases: PASS, FAIL or NEED MORE DATA, overall and by stratum, and its sample size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mangaassist.stats.multiplicity import holm
from mangaassist.stats.noninferiority import MarginEvidence, margin_evidence, regression_p
from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.paired import PairedSummary
from mangaassist.stats.power import size_for_paired_noninferiority


class GateVerdict(StrEnum):
    """The answer of a gate; no data is never a pass."""

    PASS = "PASS"
    FAIL = "FAIL"
    NEED_MORE_DATA = "NEED MORE DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """Margins by which the second system may be worse, and the error rates of the decision.

    `alpha` is the chance to pass a system that is worse by exactly the margin, `regression_alpha` the chance
    that any stratum of an equal system is called a regression. A stratum below `least_cases` is not held to
    its margin.
    """

    margin: float = 0.02
    stratum_margin: float = 0.05
    least_cases: int = 50
    alpha: float = 0.05
    regression_alpha: float = 0.05
    power: float = 0.9
    loss_bound: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePart:
    """The verdict on all cases or on one stratum, with its evidence.

    `judged` is False for a stratum too small to be held to its margin; it does not hold up the gate.
    """

    verdict: GateVerdict
    judged: bool
    cases: int
    evidence: MarginEvidence | CannotCompute
    regression_p: float
    detail: str
    units_needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The verdict of the gate: that of its worst judged part."""

    verdict: GateVerdict
    overall: GatePart
    strata: Mapping[str, GatePart]


def decide(overall: PairedSummary, strata: Mapping[str, PairedSummary], *, policy: GatePolicy) -> GateResult:
    """Judge a second system against a first on the same cases.

    PASS when the lower bound of the difference clears the margin, overall and in each judged stratum, and no
    stratum is significantly worse (Holm). FAIL when one is, when the difference is shown to be beyond the
    margin, or when a sample large enough for half the margin still shows nothing. Otherwise NEED MORE DATA,
    with the number of units. The tests are for a fixed number of cases: adding cases until they pass errs
    more often.
    """
    p_values = holm([regression_p(pairs) for pairs in strata.values()])
    parts = {
        name: _part(pairs, policy.stratum_margin, adjusted, policy=policy, least=policy.least_cases)
        for (name, pairs), adjusted in zip(strata.items(), p_values, strict=True)
    }
    whole = _part(overall, policy.margin, 1.0, policy=policy, least=2)
    verdicts = {part.verdict for part in [whole, *parts.values()] if part.judged}
    worst = next(
        verdict
        for verdict in (GateVerdict.FAIL, GateVerdict.NEED_MORE_DATA, GateVerdict.PASS)
        if verdict in verdicts
    )
    return GateResult(verdict=worst, overall=whole, strata=parts)


def plan(
    discordance: float,
    strata: Mapping[str, tuple[float, float]],
    *,
    policy: GatePolicy,
    pass_rate: float = 0.9,
) -> int | CannotCompute:
    """Return the cases with which an equal system passes the whole gate with chance `pass_rate`.

    `discordance` is the share of cases on which the systems differ; `strata` gives each stratum's share of
    the cases and its own discordance. The chance to be held up is divided evenly among the margins, after
    what the regression tests take (a union bound, so the true pass rate is higher).
    """
    spare = 1.0 - pass_rate - (policy.regression_alpha if strata else 0.0)
    if spare <= 0.0:
        raise ValueError("regression_alpha alone holds up more equal systems than pass_rate allows")
    power = 1.0 - spare / (1 + len(strata))
    size = size_for_paired_noninferiority(discordance, policy.margin, alpha=policy.alpha, power=power)
    if isinstance(size, CannotCompute):
        return size
    for share, differing in strata.values():
        within = size_for_paired_noninferiority(
            differing, policy.stratum_margin, alpha=policy.alpha, power=power
        )
        if isinstance(within, CannotCompute):
            return within
        size = max(size, math.ceil(max(within, policy.least_cases) / share))
    return size


def _part(
    pairs: PairedSummary, margin: float, adjusted_p: float, *, policy: GatePolicy, least: int
) -> GatePart:
    """Judge all cases or one stratum."""
    evidence = margin_evidence(
        pairs, margin, alpha=policy.alpha, power=policy.power, loss_bound=policy.loss_bound
    )
    regressed = adjusted_p <= policy.regression_alpha
    verdict, detail, needed = _verdict(pairs, evidence, margin, least=least)
    if regressed:
        verdict, needed = GateVerdict.FAIL, None
        detail = f"significantly worse (adjusted p = {adjusted_p:.2g})"
    return GatePart(
        verdict=verdict,
        judged=regressed or pairs.cases >= least or least <= 2,
        cases=pairs.cases,
        evidence=evidence,
        regression_p=adjusted_p,
        detail=detail,
        units_needed=needed,
    )


def _verdict(
    pairs: PairedSummary, evidence: MarginEvidence | CannotCompute, margin: float, *, least: int
) -> tuple[GateVerdict, str, int | None]:
    """Return the verdict on the margin, its reason and the units needed in total."""
    if isinstance(evidence, CannotCompute):
        return GateVerdict.NEED_MORE_DATA, evidence.detail, pairs.units.n + (evidence.more_needed or 1)
    if pairs.cases < least:
        detail = f"{pairs.cases} cases, at least {least} are needed to judge a margin"
        return GateVerdict.NEED_MORE_DATA, detail, max(least, evidence.units_needed)
    bound = f"lower bound {evidence.low:+.4f}, margin {-margin:+.4f}"
    if evidence.low > -margin:
        return GateVerdict.PASS, bound, None
    if evidence.shown_worse:
        return GateVerdict.FAIL, f"shown to be worse than the margin ({bound})", None
    if pairs.units.n >= evidence.units_needed:
        return GateVerdict.FAIL, f"not within the margin although the sample suffices ({bound})", None
    return GateVerdict.NEED_MORE_DATA, bound, evidence.units_needed
