"""What a simulation says of a rule: how often it errs, how often and how fast it finds what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.proportions import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of replicates with its 95 % Wilson interval."""

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, successes: int, count: int) -> Rate:
        """Return the rate of `successes` in `count` replicates; raises `ValueError` without any."""
        interval = wilson(BinomialCounts(n=count, successes=successes))
        if isinstance(interval, CannotCompute):
            raise ValueError(interval.detail)
        return cls(value=interval.value, low=interval.low, high=interval.high, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReport:
    """One rule on one traffic.

    `delays` holds, of every replicate with a harmful candidate, the requests until it was found; infinite
    where it was not. `days` are the days of the same moments. `outcomes` counts the ends with a healthy
    candidate, `notes` are further figures by name.
    """

    rule: str
    false_alarms: Rate
    detections: Rate
    delays: tuple[float, ...]
    days: tuple[float, ...]
    outcomes: dict[str, int] = field(default_factory=dict)
    notes: dict[str, float | None] = field(default_factory=dict)

    def requests_to_detect(self, share: float) -> float | None:
        """Return the requests within which that share of harmful candidates is found; None if never."""
        return quantile(self.delays, share)

    def days_to_detect(self, share: float) -> float | None:
        """Return the days within which that share of harmful candidates is found; None if never."""
        return quantile(self.days, share)


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that `share` of all values do not exceed; None where it is infinite."""
    if not len(values):
        return None
    found = float(np.quantile(np.asarray(values), share, method="inverted_cdf"))
    return found if np.isfinite(found) else None
