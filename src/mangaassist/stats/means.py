"""Means, their differences (Welch 1947) and relative differences (delta method)."""

from __future__ import annotations

import math

from mangaassist.stats.estimates import Alternative, EffectTest, IntervalEstimate
from mangaassist.stats.moments import Moments
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.wald import wald_interval, wald_test


def mean_interval(
    moments: Moments, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> IntervalEstimate | CannotCompute:
    """Return the mean with its Student t interval; units must be independent of each other."""
    if moments.n < 2:
        return too_few(moments.n, 2)
    return wald_interval(
        moments.mean,
        math.sqrt(moments.mean_variance),
        df=moments.n - 1,
        confidence=confidence,
        alternative=alternative,
    )


def mean_test(
    moments: Moments,
    *,
    null: float = 0.0,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest | CannotCompute:
    """Test one mean against `null` (Student t): for paired data, give the moments of the differences."""
    if moments.n < 2:
        return too_few(moments.n, 2)
    if moments.squares == 0.0:
        return _no_variation()
    return wald_test(
        moments.mean,
        math.sqrt(moments.mean_variance),
        df=moments.n - 1,
        null=null,
        confidence=confidence,
        alternative=alternative,
    )


def welch(
    control: Moments,
    treatment: Moments,
    *,
    null: float = 0.0,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest | CannotCompute:
    """Test treatment - control against `null`, variances not assumed equal."""
    outcome = _refusal(control, treatment)
    if outcome is not None:
        return outcome
    return wald_test(
        treatment.mean - control.mean,
        math.sqrt(control.mean_variance + treatment.mean_variance),
        df=welch_df(control, treatment),
        null=null,
        confidence=confidence,
        alternative=alternative,
    )


def relative_difference(
    control: Moments,
    treatment: Moments,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest | CannotCompute:
    """Test (treatment - control) / control against 0; the control mean must be clear of zero.

    The variance is var_t / (c² n_t) + var_c t² / (c⁴ n_c) (delta method).
    """
    outcome = _refusal(control, treatment)
    if outcome is not None:
        return outcome
    if abs(control.mean) < 5 * math.sqrt(control.mean_variance) or control.mean == 0.0:
        detail = "the control mean is within 5 standard errors of zero: a relative difference is unstable"
        return CannotCompute(reason=Reason.ZERO_DENOMINATOR, detail=detail)
    share = treatment.mean / control.mean
    variance = (treatment.mean_variance + share**2 * control.mean_variance) / control.mean**2
    return wald_test(
        share - 1.0,
        math.sqrt(variance),
        df=welch_df(control, treatment),
        confidence=confidence,
        alternative=alternative,
    )


def welch_df(control: Moments, treatment: Moments) -> float:
    """Return the degrees of freedom of Welch and Satterthwaite."""
    parts = (control.mean_variance, treatment.mean_variance)
    spread = parts[0] ** 2 / (control.n - 1) + parts[1] ** 2 / (treatment.n - 1)
    # squares of tiny variances may underflow to zero
    return sum(parts) ** 2 / spread if spread > 0.0 else float(min(control.n, treatment.n) - 1)


def _refusal(control: Moments, treatment: Moments) -> CannotCompute | None:
    """Return why two samples cannot be compared, or None when they can."""
    fewest = min(control.n, treatment.n)
    if fewest < 2:
        return too_few(fewest, 2, what="units in the smaller arm")
    if control.squares + treatment.squares == 0.0:
        return _no_variation()
    return None


def _no_variation() -> CannotCompute:
    """Return the outcome of observations that are all equal."""
    detail = "all observations are equal: a standard error of zero says nothing about other data"
    return CannotCompute(reason=Reason.NO_VARIATION, detail=detail)
