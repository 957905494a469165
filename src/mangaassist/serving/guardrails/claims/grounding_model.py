"""The learned part of grounding: logistic regression in plain floats over the features of `support`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import orjson

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.guardrails.claims.support import FEATURES


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingModel:
    """Two weightings of the same features: for texts close to their sources, and for free ones."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    version: str

    def score(self, features: Mapping[str, float]) -> float:
        """Return how likely a text is not grounded, 0 to 1."""
        return self.score_inputs(inputs_of(features))

    def score_inputs(self, inputs: Sequence[float]) -> float:
        """Return the score of the model's inputs."""
        total = self.intercept
        for value, mean, scale, weight in zip(inputs, self.means, self.scales, self.weights, strict=True):
            total += weight * (value - mean) / scale
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, total))))

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Self:
        """Build from a model file; raises `ConfigurationError` when it was made for other features."""
        if document.get("features") != list(FEATURES):
            raise ConfigurationError(
                "the grounding model was made for other features; run `mangaassist train grounding`"
            )
        wanted = 2 * len(FEATURES) + 1
        columns = {name: document.get(name) for name in ("means", "scales", "weights")}
        wrong = [
            name for name, values in columns.items() if not isinstance(values, list) or len(values) != wanted
        ]
        if wrong or not isinstance(document.get("intercept"), int | float):
            raise ConfigurationError(f"the grounding model lacks {', '.join(wrong) or 'intercept'}")
        digest = hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
        return cls(
            means=_floats(columns["means"]),
            scales=_floats(columns["scales"]),
            weights=_floats(columns["weights"]),
            intercept=float(str(document["intercept"])),
            version=f"grounding-{digest}",
        )


def inputs_of(features: Mapping[str, float]) -> list[float]:
    """Return the model's inputs: every feature for close texts, again for free ones, and the closeness."""
    close = features["closeness"]
    values = [features[name] for name in FEATURES]
    return [*(value * close for value in values), *(value * (1 - close) for value in values), close]


def _floats(values: object) -> tuple[float, ...]:
    return tuple(float(value) for value in values) if isinstance(values, Sequence) else ()
