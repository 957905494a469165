"""The outcome of an estimate that this data cannot give: a value with its reason, never 0, 1 or NaN."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something cannot be computed."""

    NO_DATA = "no_data"
    TOO_FEW_UNITS = "too_few_units"
    NO_VARIATION = "no_variation"
    ZERO_DENOMINATOR = "zero_denominator"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotCompute:
    """What takes the place of a result: the reason, a sentence, and how much more data would change it.

    `more_needed` counts units beyond those given; None when no amount of data helps or it is unknown.
    """

    reason: Reason
    detail: str
    more_needed: int | None = None


def too_few(units: int, needed: int, *, what: str = "units") -> CannotCompute:
    """Return the outcome of `units` given where `needed` are the least that give an answer."""
    reason = Reason.NO_DATA if units == 0 else Reason.TOO_FEW_UNITS
    detail = f"{units} {what} given, at least {needed} needed"
    return CannotCompute(reason=reason, detail=detail, more_needed=needed - units)
