"""The learned injection classifier: window scores of a linear model, combined, optionally with an encoder.

A text is read in several views. Every window of a view gets the weight of its features divided by the
root of their number, group by group; the best window and the mean of the best three are
combined into a probability whose operating point is 0.5. Where an encoder is at hand it reads the best
window of texts that are neither clearly harmless nor clear attacks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.guardrails.injection.decoding import Vocabulary
from mangaassist.serving.guardrails.injection.features import FeatureReader
from mangaassist.serving.guardrails.injection.views import View, views_of
from mangaassist.serving.guardrails.injection.windows import LONGEST, windows_of

Floats = NDArray[np.float32]
TOP_WINDOWS: Final = 3
MOST_ENCODED: Final = 280
"""Characters of a window that the encoder reads: about 14 ms."""
GROUP_WEIGHTS: Final = (0.5, 1.0, 1.0)
GROUP_PRIORS: Final = (60.0, 12.0, 4.0)
"""Features that a window is taken to have besides its own, so that a single word cannot decide."""


@dataclass(frozen=True, slots=True)
class WindowScores:
    """What the linear model says of one text: of its best window, and of its best three."""

    best: float
    top: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The most suspicious view of a text; `start` and `end` are offsets in the original."""

    scores: WindowScores
    kind: str
    start: int
    end: int
    window: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A logistic combination; `offset` moves the chosen operating point to 0.5."""

    best: float
    top: float
    offset: float
    encoder: float = 0.0

    def probability(self, scores: WindowScores, encoder: float = 0.0) -> float:
        """Return 0 (harmless) to 1 (attack)."""
        logit = self.best * scores.best + self.top * scores.top + self.encoder * encoder + self.offset
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderHead:
    """A linear head over the encoder's vector of the best window."""

    weights: Floats
    bias: float
    embedder_version: str
    combination: Combination
    ask_from: float
    ask_to: float
    """The encoder is asked when the probability without it lies between these."""


class InjectionModel:
    """Scores texts; deterministic, no I/O, thread-safe."""

    def __init__(
        self,
        *,
        version: str,
        reader: FeatureReader,
        vocabulary: Vocabulary,
        weights: Floats,
        bias: float,
        combination: Combination,
        head: EncoderHead | None,
    ) -> None:
        self.version = version
        self._reader = reader
        self._vocabulary = vocabulary
        self._weights = weights
        self._bias = bias
        self._combination = combination
        self._head = head

    def views(self, text: str) -> list[View]:
        """Return the readings of a text, the normalised one first."""
        return views_of(text, self._vocabulary)

    def evidence(self, views: Sequence[View]) -> Evidence:
        """Return the view and the window that look most like an attack."""
        best: Evidence | None = None
        for view in views:
            scores, start, end = self._scored(view.text)
            if best is None or self._combination.probability(scores) > self._combination.probability(
                best.scores
            ):
                low, high = view.original(start, end)
                best = Evidence(scores, view.kind, low, high, view.text[start:end][:MOST_ENCODED])
        assert best is not None  # there is always the plain view
        return best

    def probability(self, evidence: Evidence) -> float:
        """Return the probability without an encoder."""
        return self._combination.probability(evidence.scores)

    def wants_encoder(self, probability: float, embedder_version: str) -> bool:
        """Whether the encoder would be worth its time, and is the one that the head was trained with."""
        head = self._head
        return (
            head is not None
            and head.embedder_version == embedder_version
            and head.ask_from <= probability <= head.ask_to
        )

    def probability_with(self, evidence: Evidence, vector: Floats) -> float:
        """Return the probability with the encoder's vector of the evidence's window."""
        assert self._head is not None
        encoder = float(vector @ self._head.weights) + self._head.bias
        return self._head.combination.probability(evidence.scores, encoder)

    def _scored(self, text: str) -> tuple[WindowScores, int, int]:
        """Return the scores, and the characters of the best window (a short text whole)."""
        features, windows = self._reader.read(text), windows_of(text)
        bounds = np.array(windows.bounds)
        firsts, lasts = bounds[np.array(windows.firsts)], bounds[np.array(windows.lasts)]
        total = np.full(len(firsts), self._bias)
        for group, (buckets, positions) in enumerate(zip(features.buckets, features.positions, strict=True)):
            weight = np.bincount(positions, self._weights[buckets], minlength=features.length)
            weights = np.concatenate(([0.0], np.cumsum(weight)))
            counts = np.concatenate(([0], np.cumsum(np.bincount(positions, minlength=features.length))))
            total += (
                GROUP_WEIGHTS[group]
                * (weights[lasts] - weights[firsts])
                / np.sqrt(counts[lasts] - counts[firsts] + GROUP_PRIORS[group])
            )
        scores = summarised(total)
        if len(text) <= LONGEST:
            return scores, 0, len(text)
        chosen = int(np.argmax(total[:-1]))
        return scores, int(firsts[chosen]), int(lasts[chosen])


def summarised(windows: NDArray[np.float64]) -> WindowScores:
    """Return the best and the mean of the best of the scores of a text's windows."""
    top = np.sort(windows)[::-1][:TOP_WINDOWS]
    return WindowScores(float(top[0]), float(top.mean()))
