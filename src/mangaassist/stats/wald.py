"""Intervals and tests from an estimate and its standard error, normal or Student t."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from mangaassist.stats.estimates import Alternative, EffectTest, IntervalEstimate, tails


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile."""
    return float(ndtri(probability))


def t_quantile(probability: float, df: float) -> float:
    """Return the Student t quantile; `df` may be infinite (normal)."""
    return float(ndtri(probability) if math.isinf(df) else stdtrit(df, probability))


def t_cdf(value: float, df: float) -> float:
    """Return the Student t distribution function; `df` may be infinite (normal)."""
    return float(ndtr(value) if math.isinf(df) else stdtr(df, value))


def wald_interval(
    value: float,
    standard_error: float,
    *,
    df: float = math.inf,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> IntervalEstimate:
    """Return `value` ± quantile × standard error; one-sided intervals reach to infinity."""
    below, above = tails(confidence, alternative)
    low = value + t_quantile(below, df) * standard_error if below else -math.inf
    high = value - t_quantile(above, df) * standard_error if above else math.inf
    return IntervalEstimate(
        value=value, low=low, high=high, confidence=confidence, standard_error=standard_error
    )


def wald_test(
    effect: float,
    standard_error: float,
    *,
    df: float = math.inf,
    null: float = 0.0,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest:
    """Test `effect` against `null`; the interval is the dual of the test. `standard_error` must exceed 0."""
    interval = wald_interval(effect, standard_error, df=df, confidence=confidence, alternative=alternative)
    lower_tail = t_cdf((effect - null) / standard_error, df)
    upper_tail = t_cdf((null - effect) / standard_error, df)
    p_value = {
        "two-sided": 2 * min(lower_tail, upper_tail),
        "greater": upper_tail,
        "less": lower_tail,
    }[alternative]
    return EffectTest(
        effect=effect,
        low=interval.low,
        high=interval.high,
        confidence=confidence,
        p_value=min(1.0, p_value),
        standard_error=standard_error,
        df=df,
    )
