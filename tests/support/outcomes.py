"""Reading results that may be `CannotCompute`."""

from __future__ import annotations

from typing import TypeVar

from mangaassist.stats.outcome import CannotCompute

Result = TypeVar("Result")


def computed(outcome: Result | CannotCompute) -> Result:
    """Return the result; fails the test when there is none."""
    assert not isinstance(outcome, CannotCompute), outcome.detail
    return outcome


def refused(outcome: object) -> CannotCompute:
    """Return the refusal; fails the test when there is a result."""
    assert isinstance(outcome, CannotCompute), outcome
    return outcome
