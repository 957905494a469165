"""From scores to a decision: calibrated probabilities, out-of-scope rejection, recall-biased labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.intent.first_stage import Floats

OUT_OF_SCOPE_FEATURES = ("best", "outside_minus_best", "entropy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How the scores of one stage are read.

    `temperature` turns scores into probabilities given that the text is in scope; `outside_weights`
    (bias last) turn `OUT_OF_SCOPE_FEATURES` into the probability that it is not, None where no text out
    of scope was seen in training: then the score is the entropy and nothing is rejected. A label in
    `recall_thresholds` wins as soon as its probability reaches the threshold. `sure_at` is the
    probability from which a decision of this stage needs no later stage.
    """

    temperature: float
    outside_weights: tuple[float, ...] | None = None
    outside_threshold: float = math.inf
    recall_thresholds: Mapping[str, float] = field(default_factory=dict)
    sure_at: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one stage says of one text; `scope_best` is the best label had it to be in scope."""

    label: str
    confidence: float
    runner_up: str
    outside_score: float
    scope_best: str
    probabilities: NDArray[np.float64]


def inside_probabilities(scores: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Softmax over the last axis of the scores of the labels in scope."""
    logits: NDArray[np.float64] = scores.astype(np.float64) * temperature
    logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)
    return logits


def outside_features(
    inside_scores: NDArray[np.floating],
    outside_score: NDArray[np.floating] | float,
    inside: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return `OUT_OF_SCOPE_FEATURES` along a new last axis."""
    best = inside_scores.max(axis=-1)
    return np.stack([best, outside_score - best, relative_entropy(inside)], axis=-1).astype(np.float64)


def relative_entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shannon entropy over the last axis, divided by its largest possible value."""
    entropy = -(probabilities * np.log(probabilities + 1e-12)).sum(axis=-1)
    return np.asarray(np.minimum(np.abs(entropy) / math.log(max(probabilities.shape[-1], 2)), 1.0))


class Decider:
    """Reads the scores of one stage; `outside_label` is the label of out-of-scope texts, if it is learned."""

    def __init__(self, labels: Sequence[str], outside_label: str | None, calibration: Calibration) -> None:
        self.calibration = calibration
        self._labels = tuple(labels)
        self._outside = self._labels.index(outside_label) if outside_label in self._labels else None
        inside = [index for index in range(len(self._labels)) if index != self._outside]
        self._inside = np.array(inside, dtype=np.intp)
        self._biased = [
            (self._labels.index(label), threshold)
            for label, threshold in calibration.recall_thresholds.items()
        ]

    def decide(self, scores: Floats) -> Verdict:
        """Return the decision; its probabilities add up to one."""
        inside_scores = scores[self._inside]
        inside = inside_probabilities(inside_scores, self.calibration.temperature)
        best_inside = int(self._inside[inside.argmax()])
        entropy = float(relative_entropy(inside))
        probabilities = np.zeros(len(self._labels))
        weights = self.calibration.outside_weights
        if self._outside is None or weights is None:
            outside = entropy
            probabilities[self._inside] = inside
        else:
            best = float(scores[best_inside])
            features = (best, float(scores[self._outside]) - best, entropy)
            outside = _logistic(weights[-1] + sum(map(mul, features, weights)))
            probabilities[self._inside] = inside * (1.0 - outside)
            probabilities[self._outside] = outside
        chosen = self._choose(probabilities, outside, best_inside)
        confidence = min(1.0, float(probabilities[chosen]))
        others = probabilities.copy()
        others[chosen] = -1.0
        return Verdict(
            label=self._labels[chosen],
            confidence=confidence,
            runner_up=self._labels[int(others.argmax())],
            outside_score=outside,
            scope_best=self._labels[best_inside],
            probabilities=probabilities,
        )

    def _choose(self, probabilities: NDArray[np.float64], outside: float, best_inside: int) -> int:
        for index, threshold in self._biased:
            if probabilities[index] >= threshold:
                return index
        if self._outside is not None and outside >= self.calibration.outside_threshold:
            return self._outside
        return best_inside


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))
