"""What an intent classifier is worth on labelled texts: accuracy, rejection, calibration, time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.intent.first_stage import Floats
from mangaassist.serving.intent.model import IntentModel
from mangaassist.serving.intent.rules import IntentRules

CURVE_LOSSES = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
CALIBRATION_BINS = 15
OUTSIDE_LABELS = ("out_of_scope", "oos")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentPrediction:
    """One text: what it is, and what was decided; `scope_best` is the best label without rejection."""

    text: str
    truth: str
    label: str
    scope_best: str
    confidence: float
    outside_score: float
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioEstimate:
    """A share with its 95 % Wilson interval; None where nothing was counted."""

    value: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOffPoint:
    """One rejection threshold and what it gives."""

    threshold: float
    in_scope_accuracy: float
    out_of_scope_recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentReport:
    """Every figure of one evaluation; a figure that cannot be computed is None.

    `in_scope_accuracy` counts a rejected in-scope text as wrong; `in_scope_accuracy_without_rejection`
    is that of the same classifier had it to answer. `ece` is the expected calibration error of the
    decisions' confidence in 15 equal-width bins (Naeini et al. 2015).
    """

    count: int
    accuracy: RatioEstimate
    in_scope_accuracy: RatioEstimate
    in_scope_accuracy_without_rejection: RatioEstimate
    macro_f1: float
    per_class_f1: Mapping[str, float]
    per_class_recall: Mapping[str, RatioEstimate]
    out_of_scope_recall: RatioEstimate
    out_of_scope_auroc: float | None
    ece: float
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    curve: tuple[TradeOffPoint, ...]
    stage_shares: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyReport:
    """CPU milliseconds of one decision at a time, encoding included."""

    p50_ms: float
    p95_ms: float
    first_stage_p95_ms: float
    sample: int


def predict(
    text: str, truth: str, *, model: IntentModel, rules: IntentRules | None, encoding: Floats | None
) -> IntentPrediction:
    """Take the path of the cascade with an encoding at hand."""
    rule = rules.match(text) if rules is not None else None
    if rules is not None and rule is not None:
        label = rule.intent.value
        return IntentPrediction(
            text=text,
            truth=truth,
            label=label,
            scope_best=label,
            confidence=rules.confidence,
            outside_score=0.0,
            stage="rule",
        )
    features = model.features(text)
    verdict, stage = model.first_verdict(features), "first_stage"
    if encoding is not None and not model.is_sure(verdict):
        verdict, stage = model.encoder_verdict(features, encoding), "encoder"
    return IntentPrediction(
        text=text,
        truth=truth,
        label=verdict.label,
        scope_best=verdict.scope_best,
        confidence=verdict.confidence,
        outside_score=verdict.outside_score,
        stage=stage,
    )


def summarise(predictions: Sequence[IntentPrediction]) -> IntentReport:
    """Return the figures of a set of predictions; needs at least one."""
    labels = tuple(sorted({p.truth for p in predictions} | {p.label for p in predictions}))
    index = {label: position for position, label in enumerate(labels)}
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for prediction in predictions:
        confusion[index[prediction.truth], index[prediction.label]] += 1
    truths = {p.truth for p in predictions}
    f1 = {label: _f1(confusion, index[label]) for label in labels if label in truths}
    inside = [p for p in predictions if p.truth not in OUTSIDE_LABELS]
    outside = [p for p in predictions if p.truth in OUTSIDE_LABELS]
    right = np.array([p.label == p.truth for p in predictions])
    stages = [p.stage for p in predictions]
    return IntentReport(
        count=len(predictions),
        accuracy=ratio(int(right.sum()), len(predictions)),
        in_scope_accuracy=ratio(sum(p.label == p.truth for p in inside), len(inside)),
        in_scope_accuracy_without_rejection=ratio(sum(p.scope_best == p.truth for p in inside), len(inside)),
        macro_f1=float(np.mean(list(f1.values()))),
        per_class_f1=f1,
        per_class_recall={
            label: ratio(int(confusion[index[label], index[label]]), int(confusion[index[label]].sum()))
            for label in f1
        },
        out_of_scope_recall=ratio(sum(p.label in OUTSIDE_LABELS for p in outside), len(outside)),
        out_of_scope_auroc=auroc([p.outside_score for p in outside], [p.outside_score for p in inside]),
        ece=calibration_error(np.array([p.confidence for p in predictions]), right),
        labels=labels,
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
        curve=_curve(inside, outside),
        stage_shares={stage: stages.count(stage) / len(stages) for stage in sorted(set(stages))},
    )


def ratio(successes: int, count: int, *, z: float = 1.959964) -> RatioEstimate:
    """Return a share with its Wilson score interval (Wilson 1927)."""
    if count == 0:
        return RatioEstimate(value=None, low=None, high=None, count=0)
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return RatioEstimate(value=share, low=min(low, share), high=max(high, share), count=count)


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Return the chance that a positive scores above a negative, ties counting half (Mann-Whitney)."""
    if not positives or not negatives:
        return None
    ordered = np.sort(np.asarray(negatives))
    below = np.searchsorted(ordered, positives, side="left")
    up_to = np.searchsorted(ordered, positives, side="right")
    return float((below + up_to).sum() / (2 * len(positives) * len(negatives)))


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins, by their share."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [
        abs(float(right[bins == b].mean()) - float(confidence[bins == b].mean())) * float((bins == b).mean())
        for b in range(CALIBRATION_BINS)
        if (bins == b).any()
    ]
    return float(sum(gaps))


def measure_latency(
    texts: Sequence[str],
    *,
    model: IntentModel,
    rules: IntentRules | None,
    encode: Callable[[str], Floats] | None,
    warm_up: int = 20,
) -> LatencyReport:
    """Decide the texts one at a time; encoding is part of a decision unless an earlier stage is sure."""
    total, first_only = [], []
    for position, text in enumerate([*texts[:warm_up], *texts]):
        start = time.process_time_ns()
        settled = rules is not None and rules.match(text) is not None
        if not settled:
            after_rules = time.process_time_ns()
            features = model.features(text)
            verdict = model.first_verdict(features)
            first_ms = (time.process_time_ns() - after_rules) / 1e6
            if encode is not None and not model.is_sure(verdict):
                model.encoder_verdict(features, encode(text))
            if position >= warm_up:
                first_only.append(first_ms)
        if position >= warm_up:
            total.append((time.process_time_ns() - start) / 1e6)
    return LatencyReport(
        p50_ms=float(np.percentile(total, 50)),
        p95_ms=float(np.percentile(total, 95)),
        first_stage_p95_ms=float(np.percentile(first_only or [0.0], 95)),
        sample=len(total),
    )


def _f1(confusion: NDArray[np.int64], position: int) -> float:
    found = int(confusion[position, position])
    total = int(confusion[position].sum() + confusion[:, position].sum())
    return 2 * found / total if total else 0.0


def _curve(
    inside: Sequence[IntentPrediction], outside: Sequence[IntentPrediction]
) -> tuple[TradeOffPoint, ...]:
    """Return the recall out of scope at falling in-scope accuracy, rejection by score alone."""
    if not inside or not outside:
        return ()
    ordered = sorted(inside, key=lambda p: p.outside_score)
    kept = np.cumsum([p.scope_best == p.truth for p in ordered]) / len(ordered)
    outside_scores = np.array([p.outside_score for p in outside])
    points = []
    for loss in CURVE_LOSSES:
        position = int(np.searchsorted(kept, kept[-1] - loss - 1e-12))
        threshold = ordered[position].outside_score
        points.append(
            TradeOffPoint(
                threshold=threshold,
                in_scope_accuracy=float(kept[position]),
                out_of_scope_recall=float((outside_scores > threshold).mean()),
            )
        )
    return tuple(points)
