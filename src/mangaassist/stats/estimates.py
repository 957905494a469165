"""What an estimator returns: a value with its interval, and a difference with its test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Alternative = Literal["two-sided", "greater", "less"]
"""As in scipy: `greater` asks whether the value is larger, and its interval has only a lower bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalEstimate:
    """A value with the interval that covers the truth with probability `confidence`.

    One-sided intervals have one end at the border of the possible values. `standard_error` is None where the
    method has none.
    """

    value: float
    low: float
    high: float
    confidence: float
    standard_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectTest:
    """An effect with its interval and the p-value of no effect; `df` is infinite for normal tests."""

    effect: float
    low: float
    high: float
    confidence: float
    p_value: float
    standard_error: float | None = None
    df: float = float("inf")


def tails(confidence: float, alternative: Alternative) -> tuple[float, float]:
    """Return the error probability left below and above the interval; raises `ValueError` outside (0, 1)."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    error = 1.0 - confidence
    return {"two-sided": (error / 2, error / 2), "greater": (error, 0.0), "less": (0.0, error)}[alternative]
