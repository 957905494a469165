"""Figures shared by the evaluations of guardrails: ranking, one operating point, time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangaassist.control.evaluation.intents import auroc

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryFigures:
    """What a score is worth; None where a class is missing. Recalls are at false-positive rates."""

    count: int
    positives: int
    auroc: float | None
    recall_at_0_1pct_fpr: float | None
    recall_at_1pct_fpr: float | None
    recall_at_5pct_fpr: float | None
    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    false_positive_rate: float | None

    def document(self) -> dict[str, object]:
        """Return the figures under their published names."""
        names = {"recall_at_0_1pct_fpr": "recall_at_0.1pct_fpr"}
        return {names.get(name, name): getattr(self, name) for name in self.__slots__}


def binary_figures(scores: Scores, truth: NDArray[np.bool_], *, threshold: float) -> BinaryFigures:
    """Return the figures of scores (higher: rather positive); at the threshold or above is flagged."""
    positive, negative = scores[truth], scores[~truth]
    flagged = scores >= threshold
    hits, alarms = int((flagged & truth).sum()), int((flagged & ~truth).sum())
    precision = hits / (hits + alarms) if hits + alarms else None
    recall = hits / len(positive) if len(positive) else None
    return BinaryFigures(
        count=len(scores),
        positives=len(positive),
        auroc=auroc(positive.tolist(), negative.tolist()),
        recall_at_0_1pct_fpr=recall_at_fpr(positive, negative, 0.001),
        recall_at_1pct_fpr=recall_at_fpr(positive, negative, 0.01),
        recall_at_5pct_fpr=recall_at_fpr(positive, negative, 0.05),
        threshold=threshold,
        precision=precision,
        recall=recall,
        f1=2 * hits / (len(positive) + hits + alarms) if len(positive) else None,
        false_positive_rate=alarms / len(negative) if len(negative) else None,
    )


def recall_at_fpr(positive: Scores, negative: Scores, rate: float) -> float | None:
    """Return the share of positives above the score that at most `rate` of the negatives exceed.

    A positive must score strictly above the first negative that may not be flagged.
    """
    if not len(positive) or not len(negative):
        return None
    allowed = math.floor(rate * len(negative) + 1e-9)
    if allowed >= len(negative):
        return 1.0
    first_forbidden = np.sort(negative)[::-1][allowed]
    return float((positive > first_forbidden).mean())


def latency_figures(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in microseconds."""
    values = np.percentile(np.asarray(seconds) * 1e6, (50, 95, 99))
    return {
        name: round(float(value), 1)
        for name, value in zip(("p50_us", "p95_us", "p99_us"), values, strict=True)
    }
