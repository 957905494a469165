"""Ratios of sums over units, and clustered means: R = Σy / Σx, by the delta method and by Fieller (1954).

A unit is what was randomised or sampled. A clustered mean is the ratio with `y` the sum of a unit's
observations and `x` their count, so both share their formula: var R = var(y - R x) / (n x̄²).
"""

from __future__ import annotations

import math

from mangaassist.stats.estimates import Alternative, EffectTest, IntervalEstimate, tails
from mangaassist.stats.means import welch
from mangaassist.stats.moments import JointMoments, Moments, PairMoments
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.wald import t_quantile

CLEAR_OF_ZERO = 5.0
"""Standard errors between the mean denominator and zero from which a difference of ratios is trusted."""


def linearised(units: PairMoments) -> Moments | CannotCompute:
    """Return moments whose mean is the ratio and whose `mean_variance` is its delta-method variance.

    They go wherever the moments of a plain mean go: `mean_interval`, `welch`, sequential tests.
    """
    outcome = _refusal(units)
    if outcome is not None:
        return outcome
    ratio = units.mean_y / units.mean_x
    residuals = units.combination(1.0 / units.mean_x, -ratio / units.mean_x)
    return Moments(n=units.n, mean=ratio, squares=residuals.squares)


def linearised_with_covariate(units: JointMoments) -> PairMoments | CannotCompute:
    """Return the linearised ratio of columns 0 and 1 beside the covariate in column 2 (for `cuped`)."""
    outcome = _refusal(units.pair(0, 1))
    if outcome is not None:
        return outcome
    ratio = units.means[0] / units.means[1]
    weights = (1.0 / units.means[1], -ratio / units.means[1], 0.0)
    residuals = units.combination(weights)
    products = sum(weight * units.products[at][2] for at, weight in enumerate(weights))
    return PairMoments(
        n=units.n,
        mean_y=ratio,
        mean_x=units.means[2],
        squares_y=residuals.squares,
        squares_x=units.products[2][2],
        products=products,
    )


def ratio_difference(
    control: PairMoments,
    treatment: PairMoments,
    *,
    null: float = 0.0,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest | CannotCompute:
    """Test the difference of two ratios (treatment - control) against `null`, clustered by unit."""
    pair = (linearised(control), linearised(treatment))
    for moments, units in zip(pair, (control, treatment), strict=True):
        if isinstance(moments, CannotCompute):
            return moments
        if units.mean_x**2 < CLEAR_OF_ZERO**2 * units.x.mean_variance:
            detail = (
                "a mean denominator is within 5 standard errors of zero: give each ratio its own interval"
            )
            return CannotCompute(reason=Reason.ZERO_DENOMINATOR, detail=detail)
    before, after = pair
    assert isinstance(before, Moments)
    assert isinstance(after, Moments)
    return welch(before, after, null=null, confidence=confidence, alternative=alternative)


def ratio_interval(
    units: PairMoments, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> IntervalEstimate | CannotCompute:
    """Return Σy / Σx with the set of ratios r for which the mean of y - r x is not far from zero (Fieller).

    Far from a denominator of zero it is the interval of the delta method, whose standard error is given. Near
    zero the set has no end, and `low` or `high` is infinite; of two rays, the one on the wrong side of zero
    is left out. Switching between the two methods by the data was measured to cover worse than either.
    """
    moments = linearised(units)
    if isinstance(moments, CannotCompute):
        return moments
    below, above = tails(confidence, alternative)
    # a one-sided bound is the end of the two-sided interval with the same error on that side
    low, high = _fieller_ends(units, t_quantile(1.0 - (below or above), units.n - 1))
    return IntervalEstimate(
        value=moments.mean,
        low=low if below else -math.inf,
        high=high if above else math.inf,
        confidence=confidence,
        standard_error=math.sqrt(moments.mean_variance),
    )


def _fieller_ends(units: PairMoments, t: float) -> tuple[float, float]:
    """Return the ends of {r: (ȳ - r x̄)² <= t² var(ȳ - r x̄)}, the convex hull when it is in two pieces."""
    scale = t * t / (units.n * (units.n - 1))
    a = units.mean_x**2 - scale * units.squares_x
    b = units.mean_y * units.mean_x - scale * units.products
    c = units.mean_y**2 - scale * units.squares_y
    discriminant = b * b - a * c
    if a > 0.0:
        root = math.sqrt(max(0.0, discriminant))
        return (b - root) / a, (b + root) / a
    if discriminant <= 0.0 or a == 0.0:
        return -math.inf, math.inf
    # two rays: outside the roots. The one that holds the estimate counts when the other is on the far side
    # of zero, which values of one sign cannot reach.
    root = math.sqrt(discriminant)
    inner, outer = sorted(((b - root) / a, (b + root) / a))
    ratio = units.mean_y / units.mean_x
    if inner < 0.0 <= outer <= ratio:
        return outer, math.inf
    if ratio <= inner <= 0.0 < outer:
        return -math.inf, inner
    return -math.inf, math.inf


def _refusal(units: PairMoments) -> CannotCompute | None:
    """Return why the ratio cannot be computed, or None when it can."""
    if units.n < 2:
        return too_few(units.n, 2)
    if units.mean_x == 0.0:
        detail = f"the denominators of all {units.n} units sum to zero: the ratio is infinite or undefined"
        return CannotCompute(reason=Reason.ZERO_DENOMINATOR, detail=detail)
    return None
