"""One-sided evidence that a paired difference is above a margin, by the method that the data allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binom

from mangaassist.stats.exact_pairs import exact_paired_bound, exact_paired_p
from mangaassist.stats.mcnemar import paired_score
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.paired import PairedSummary, paired_difference
from mangaassist.stats.power import (
    size_for_noninferiority,
    size_for_paired_noninferiority,
    size_for_rare_events,
)
from mangaassist.stats.proportions import clopper_pearson

FEW_CHANGES = 30
"""Changed units below which no normal approximation is trusted."""

Method = Literal["score", "exact", "clustered", "bounded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginEvidence:
    """The lower bound of a paired difference, and whether the upper one lies below the margin.

    `units_needed` is the total of independent units at which an answer is expected.
    """

    effect: float
    low: float
    shown_worse: bool
    method: Method
    units_needed: int


def margin_evidence(
    pairs: PairedSummary, margin: float, *, alpha: float = 0.05, power: float = 0.9, loss_bound: float = 1.0
) -> MarginEvidence | CannotCompute:
    """Return the evidence for "the difference is above -`margin`"; one case cannot lose over `loss_bound`.

    Binary cases: Tango's score, or the exact test below 30 discordant pairs. Others: cluster-robust t, or,
    below 30 changed units, the exact bound on how many units lose, each as much as it can (conservative).
    """
    if margin <= 0.0:
        raise ValueError(f"the margin is positive, got {margin!r}")
    if pairs.units.n < 2:
        return too_few(pairs.units.n, 2)
    method = _method(pairs)
    needed = _units_needed(pairs, margin, method, alpha=alpha, power=power, loss_bound=loss_bound)
    low = _lower_bound(pairs, method, alpha=alpha, loss_bound=loss_bound)
    if isinstance(low, CannotCompute):
        return low
    return MarginEvidence(
        effect=pairs.effect,
        low=low,
        shown_worse=_shown_worse(pairs, margin, method, alpha=alpha),
        method=method,
        units_needed=needed,
    )


def regression_p(pairs: PairedSummary) -> float:
    """Return the p-value of "no worse" against "worse"; 1 when nothing changed.

    Exact sign test of the units below 30 changed ones and for binary cases (McNemar), else cluster-robust t.
    """
    if pairs.counts is None and pairs.changed_units >= FEW_CHANGES:
        test = paired_difference(pairs, alternative="less")
        if not isinstance(test, CannotCompute):
            return test.p_value
    return float(binom.cdf(pairs.gaining_units, pairs.changed_units, 0.5))


def _method(pairs: PairedSummary) -> Method:
    """Return the method that the number of changed units allows."""
    many = pairs.changed_units >= FEW_CHANGES
    if pairs.counts is not None:
        return "score" if many else "exact"
    return "clustered" if many else "bounded"


def _lower_bound(
    pairs: PairedSummary, method: Method, *, alpha: float, loss_bound: float
) -> float | CannotCompute:
    """Return the one-sided bound of the difference."""
    if pairs.counts is not None and method == "exact":
        return exact_paired_bound(pairs.counts, alpha=alpha)
    if method == "bounded":
        losing = BinomialCounts(n=pairs.units.n, successes=pairs.losing_units)
        share = clopper_pearson(losing, confidence=1.0 - alpha, alternative="less")
        if isinstance(share, CannotCompute):
            return share
        return -min(1.0, share.high * _unevenness(pairs)) * loss_bound
    if pairs.counts is not None:
        test = paired_score(pairs.counts, confidence=1.0 - alpha, alternative="greater")
    else:
        test = paired_difference(pairs, confidence=1.0 - alpha, alternative="greater")
        if isinstance(test, CannotCompute) and test.reason is Reason.NO_VARIATION:
            return pairs.effect
    return test if isinstance(test, CannotCompute) else test.low


def _shown_worse(pairs: PairedSummary, margin: float, method: Method, *, alpha: float) -> bool:
    """Tell whether the difference is significantly below -`margin`."""
    if pairs.effect >= -margin:
        return False
    if pairs.counts is not None and method == "exact":
        p_value = exact_paired_p(pairs.counts.swapped(), margin)
        return not isinstance(p_value, CannotCompute) and p_value <= alpha
    if pairs.counts is not None:
        test = paired_score(pairs.counts, confidence=1.0 - alpha, alternative="less")
    else:
        test = paired_difference(pairs, confidence=1.0 - alpha, alternative="less")
    if method == "bounded" or isinstance(test, CannotCompute):
        return False
    return test.high < -margin


def _units_needed(
    pairs: PairedSummary, margin: float, method: Method, *, alpha: float, power: float, loss_bound: float
) -> int:
    """Return the units at which the bound is expected to clear the margin.

    Planned for the observed difference, but no better than 0 and no worse than half the margin, so that the
    number stays finite: a sample of that size that still shows nothing has its answer.
    """
    difference = min(0.0, max(pairs.effect, -margin / 2))
    n = pairs.units.n
    if method in ("exact", "bounded"):
        reach = margin if method == "exact" else margin / (loss_bound * _unevenness(pairs))
        rare = size_for_rare_events(min(reach, 0.999), events=pairs.losing_units, confidence=1.0 - alpha)
        if method == "bounded":
            return max(rare, n + 1)
    if pairs.counts is not None:
        discordance = max(pairs.counts.discordant + 1, math.ceil(abs(difference) * n)) / (n + 1)
        size = size_for_paired_noninferiority(
            min(1.0, max(discordance, abs(difference))),
            margin,
            difference=difference,
            alpha=alpha,
            power=power,
        )
    else:
        size = size_for_noninferiority(
            pairs.deviation, margin, difference=difference, alpha=alpha, power=power
        )
    planned = n + 1 if isinstance(size, CannotCompute) else size
    return max(planned, rare, n + 1) if method == "exact" else planned


def _unevenness(pairs: PairedSummary) -> float:
    """Return how many times the cases of a mean unit the largest unit has."""
    return pairs.largest_unit / pairs.units.mean_x
