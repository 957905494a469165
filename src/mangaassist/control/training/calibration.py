"""Fits how scores are read, from leave-one-out scores: temperature, rejection, recall, when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.intent.decision import (
    Calibration,
    Decider,
    Verdict,
    inside_probabilities,
    outside_features,
)
from mangaassist.serving.intent.first_stage import Floats

FEWEST_OUTSIDE = 20
"""With fewer examples out of scope than this, no rejection is learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTargets:
    """What the thresholds aim at.

    Rejection is tuned for the share of out-of-scope texts in the training set, and at least for
    `least_outside_share`. `recalls`: the share of a label's texts that must be
    found. `sure_precision`: how often a first stage that is sure is right.
    """

    least_outside_share: float = 0.05
    recalls: Mapping[str, float] = field(default_factory=dict)
    sure_precision: float = 0.995


def calibrate(
    scores: Floats,
    truth: NDArray[np.intp],
    *,
    labels: Sequence[str],
    outside_label: str | None,
    targets: CalibrationTargets,
) -> Calibration:
    """Return the calibration under which these scores, each made without its own text, are best read."""
    outside = labels.index(outside_label) if outside_label in labels else None
    columns = np.array([index for index in range(len(labels)) if index != outside])
    is_inside = truth != outside if outside is not None else np.ones(len(truth), dtype=bool)
    position = np.full(len(labels), -1)
    position[columns] = np.arange(len(columns))
    temperature = _fit_temperature(scores[is_inside][:, columns], position[truth[is_inside]])
    calibration = Calibration(temperature=temperature)
    if outside is not None and (~is_inside).sum() >= FEWEST_OUTSIDE:
        inside = inside_probabilities(scores[:, columns], temperature)
        features = outside_features(scores[:, columns], scores[:, outside], inside)
        weights = _fit_logistic(features, ~is_inside)
        calibration = replace(calibration, outside_weights=weights)
    verdicts = _verdicts(scores, labels, outside_label, calibration)
    if calibration.outside_weights is not None:
        share = max(float((~is_inside).mean()), targets.least_outside_share)
        threshold = _outside_threshold(verdicts, truth, labels, is_inside, share)
        calibration = replace(calibration, outside_threshold=threshold)
    thresholds = {
        label: _recall_threshold(verdicts, truth == labels.index(label), labels.index(label), recall)
        for label, recall in targets.recalls.items()
        if label in labels
    }
    calibration = replace(calibration, recall_thresholds=thresholds)
    verdicts = _verdicts(scores, labels, outside_label, calibration)
    sure_at = _sure_at(verdicts, truth, labels, targets.sure_precision)
    return replace(calibration, sure_at=sure_at)


def _verdicts(
    scores: Floats, labels: Sequence[str], outside_label: str | None, calibration: Calibration
) -> list[Verdict]:
    decider = Decider(labels, outside_label, calibration)
    return [decider.decide(row) for row in scores]


def _fit_temperature(scores: Floats, truth: NDArray[np.intp]) -> float:
    """Minimise the log loss of the softmax over one positive factor."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        probabilities = inside_probabilities(scores, math.exp(log_temperature))
        return float(-np.log(probabilities[rows, truth] + 1e-12).mean())

    result = minimize_scalar(loss, bounds=(-1.0, 5.0), method="bounded", options={"xatol": 1e-4})
    return round(math.exp(float(result.x)), 4)


def _fit_logistic(features: NDArray[np.float64], outside: NDArray[np.bool_]) -> tuple[float, ...]:
    from sklearn.linear_model import LogisticRegression

    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    fitted = LogisticRegression(C=10.0, max_iter=1_000).fit((features - centre) / spread, outside)
    slopes = fitted.coef_[0] / spread
    bias = float(fitted.intercept_[0] - slopes @ centre)
    return (*(round(float(slope), 6) for slope in slopes), round(bias, 6))


def _outside_threshold(
    verdicts: Sequence[Verdict],
    truth: NDArray[np.intp],
    labels: Sequence[str],
    is_inside: NDArray[np.bool_],
    outside_share: float,
) -> float:
    """Maximise the accuracy expected when `outside_share` of the messages are out of scope."""
    scores = np.array([verdict.outside_score for verdict in verdicts])
    right = np.array(
        [verdict.scope_best == labels[index] for verdict, index in zip(verdicts, truth, strict=True)]
    )
    gain = np.where(
        is_inside,
        right * (1 - outside_share) / max(int(is_inside.sum()), 1),
        -outside_share / max(int((~is_inside).sum()), 1),
    )
    order = np.argsort(scores, kind="stable")
    # keeping everything up to a score keeps the right labels and misses the outsiders below it
    best = int(np.cumsum(gain[order]).argmax())
    kept, next_score = scores[order[best]], scores[order[min(best + 1, len(order) - 1)]]
    return round(float(kept + next_score) / 2, 6)


def _recall_threshold(
    verdicts: Sequence[Verdict], mine: NDArray[np.bool_], column: int, recall: float
) -> float:
    """Return the largest threshold at which `recall` of the label's texts are found."""
    probabilities = np.sort([v.probabilities[column] for v, own in zip(verdicts, mine, strict=True) if own])
    missed = math.floor(len(probabilities) * (1 - recall))
    return round(float(probabilities[missed]) * (1 - 1e-6), 6) if len(probabilities) else math.inf


def _sure_at(
    verdicts: Sequence[Verdict], truth: NDArray[np.intp], labels: Sequence[str], precision: float
) -> float:
    """Return the lowest confidence from which the decisions are right `precision` of the time."""
    confidence = np.array([verdict.confidence for verdict in verdicts])
    right = np.array([verdict.label == labels[index] for verdict, index in zip(verdicts, truth, strict=True)])
    order = np.argsort(-confidence, kind="stable")
    running = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(running >= precision)
    # a handful of sure texts is luck, not precision
    if not len(good) or good[-1] < 50:
        return math.inf
    return round(float(confidence[order[good[-1]]]), 6)
