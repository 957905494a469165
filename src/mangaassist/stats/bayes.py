"""Bayesian comparison of two arms by quadrature: chance to be better, expected loss, credible interval.

No sampling, so the same data give the same answer to the last digit. For reading, not for stopping: a
posterior looked at every day and acted on when it passes a threshold errs far more often than the threshold
says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import beta, t

from mangaassist.stats.moments import BinomialCounts, Moments
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.wald import normal_quantile

Array = npt.NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_TAIL = np.array([1e-15, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.15, 0.3])
_LEVELS = np.concatenate([_TAIL, [0.5], 1.0 - _TAIL[::-1]])


class Posterior(Protocol):
    """A frozen scipy distribution of one arm's rate or mean."""

    def pdf(self, x: Array) -> Array:
        """Return the density."""
        ...

    def cdf(self, x: Array) -> Array:
        """Return the distribution function."""
        ...

    def ppf(self, q: Array) -> Array:
        """Return the quantiles."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BayesianComparison:
    """What the posteriors say about treatment - control.

    The losses are what one gives up on average by choosing that arm, in the units of the metric; `low` and
    `high` hold the difference with probability `credibility`.
    """

    difference: float
    low: float
    high: float
    credibility: float
    chance_treatment_better: float
    loss_of_treatment: float
    loss_of_control: float


def compare_rates(
    control: BinomialCounts,
    treatment: BinomialCounts,
    *,
    prior_successes: float = 1.0,
    prior_failures: float = 1.0,
    credibility: float = 0.95,
) -> BayesianComparison:
    """Compare two rates with Beta posteriors; the default prior is uniform. Defined without data as well."""
    posteriors = [
        beta(prior_successes + arm.successes, prior_failures + arm.failures) for arm in (control, treatment)
    ]
    return compare(posteriors[0], posteriors[1], credibility=credibility)


def compare_means(
    control: Moments, treatment: Moments, *, credibility: float = 0.95
) -> BayesianComparison | CannotCompute:
    """Compare two means of unknown variances with the flat prior: Student t posteriors (Behrens-Fisher)."""
    fewest = min(control.n, treatment.n)
    if fewest < 3:
        return too_few(fewest, 3, what="units in the smaller arm")
    if control.squares == 0.0 or treatment.squares == 0.0:
        detail = "the observations of an arm are all equal: its posterior has no width"
        return CannotCompute(reason=Reason.NO_VARIATION, detail=detail)
    posteriors = [t(arm.n - 1, arm.mean, math.sqrt(arm.mean_variance)) for arm in (control, treatment)]
    return compare(posteriors[0], posteriors[1], credibility=credibility)


def compare_effect(
    effect: float,
    standard_error: float,
    *,
    prior_deviation: float | None = None,
    credibility: float = 0.95,
) -> BayesianComparison:
    """Update a normal prior around zero with an estimated effect; without `prior_deviation` it is flat.

    For relative effects 0.3 is the usual deviation. Closed form. `standard_error` must exceed 0.
    """
    precision = standard_error**-2 + (0.0 if prior_deviation is None else prior_deviation**-2)
    deviation = precision**-0.5
    mean = effect * standard_error**-2 / precision
    reach = -normal_quantile((1 - credibility) / 2) * deviation
    z = mean / deviation
    density = deviation * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return BayesianComparison(
        difference=mean,
        low=mean - reach,
        high=mean + reach,
        credibility=credibility,
        chance_treatment_better=float(ndtr(z)),
        loss_of_treatment=max(0.0, density - mean * float(ndtr(-z))),
        loss_of_control=max(0.0, density + mean * float(ndtr(z))),
    )


def compare(control: Posterior, treatment: Posterior, *, credibility: float = 0.95) -> BayesianComparison:
    """Compare two independent posteriors.

    P(T > C) = ∫ f_T F_C, and the expected loss of T is E[max(C - T, 0)] = ∫ F_T (1 - F_C).
    """
    borders_c, borders_t = control.ppf(_LEVELS), treatment.ppf(_LEVELS)
    nodes, weights = _panels(borders_c, borders_t)
    below_c, below_t = control.cdf(nodes), treatment.cdf(nodes)
    loss_of_treatment = float(weights @ (below_t * (1 - below_c)))
    loss_of_control = float(weights @ (below_c * (1 - below_t)))

    def chance_below(gap: float) -> float:
        """P(T - C <= gap)."""
        points, width = _panels(borders_c + gap, borders_t)
        return float(1.0 - width @ (treatment.pdf(points) * control.cdf(points - gap)))

    tail = (1 - credibility) / 2
    # P(T - C <= t - c) is at most P(T <= t) + P(C >= c): both ends of the interval lie between these gaps
    ends = np.array([tail / 2, 1 - tail / 2])
    least, most = treatment.ppf(ends) - control.ppf(ends)[::-1]
    low, high = (_crossing(chance_below, level, least, most) for level in (tail, 1 - tail))
    return BayesianComparison(
        difference=loss_of_control - loss_of_treatment,
        low=low,
        high=high,
        credibility=credibility,
        chance_treatment_better=min(1.0, max(0.0, 1.0 - chance_below(0.0))),
        loss_of_treatment=loss_of_treatment,
        loss_of_control=loss_of_control,
    )


def _panels(*borders: Array) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights on panels between all borders.

    With the quantiles of a posterior as borders it is smooth within each panel, however sharp it is.
    """
    ends = np.unique(np.concatenate(borders))
    middle, half = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
    nodes = (middle[:, None] + half[:, None] * _NODES).ravel()
    return nodes, (half[:, None] * _WEIGHTS).ravel()


def _crossing(chance_below: Callable[[float], float], level: float, least: float, most: float) -> float:
    """Return the gap between `least` and `most` at which the chance reaches `level`."""
    precision = 1e-12 * (most - least)
    return float(brentq(lambda gap: chance_below(gap) - level, least, most, xtol=precision))
