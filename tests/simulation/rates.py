"""Observed error rates with their intervals."""

from __future__ import annotations

from mangaassist.stats.estimates import IntervalEstimate
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.proportions import wilson
from tests.support.outcomes import computed


def observed(label: str, successes: int, replicates: int) -> IntervalEstimate:
    """Return the rate with its 99.9 % interval and print it (shown by `pytest -s`)."""
    rate = computed(wilson(BinomialCounts(n=replicates, successes=successes), confidence=0.999))
    print(f"{label}: {rate.value:.2%} [{rate.low:.2%}, {rate.high:.2%}] of {replicates}")
    return rate
