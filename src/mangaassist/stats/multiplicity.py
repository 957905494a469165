"""Adjusted p-values of several tests: Holm (1979) and Benjamini and Hochberg (1995)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values that bound the chance of any false alarm, whatever the dependence."""
    ordered, order = _sorted(p_values)
    count = len(ordered)
    stepped = np.maximum.accumulate(ordered * (count - np.arange(count)))
    return _restored(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values that bound the expected share of false alarms among alarms (independent tests)."""
    ordered, order = _sorted(p_values)
    count = len(ordered)
    stepped = np.minimum.accumulate((ordered * count / (np.arange(count) + 1))[::-1])[::-1]
    return _restored(stepped, order)


def _sorted(p_values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the values in ascending order and where each stood; raises `ValueError` outside [0, 1]."""
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError(f"p-values lie between 0 and 1, got {p_values!r}")
    order = np.argsort(values, kind="stable")
    return values[order], order


def _restored(stepped: np.ndarray, order: np.ndarray) -> tuple[float, ...]:
    """Return adjusted values in the order in which the tests were given."""
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())
