"""Picks the best rows of a score array, exactly, ties by row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Rows = NDArray[np.intp]


def top_rows(scores: Scores, limit: int) -> Rows:
    """Return the positions of the `limit` highest scores, best first; equal scores in order of position."""
    if limit <= 0:
        return np.empty(0, dtype=np.intp)
    if limit >= len(scores):
        return np.argsort(-scores, kind="stable")
    threshold = np.partition(scores, len(scores) - limit)[len(scores) - limit]
    above = np.flatnonzero(scores > threshold)
    level = np.flatnonzero(scores == threshold)[: limit - len(above)]
    chosen = np.sort(np.concatenate([above, level]))
    return chosen[np.argsort(-scores[chosen], kind="stable")]
