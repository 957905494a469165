"""The ranker: a linear model over the fusion features, versioned by its content."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np
import orjson

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.retrieval.evidence import Evidence, Scores
from mangaassist.serving.retrieval.fusion import FEATURES, feature_matrix

_LEXICAL_TRUST = ("lexical", "lexical_length", "lexical_closeness", "lexical_strength")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearRanker:
    """Scores candidates by a weighted sum of their features; a missing weight is 0.

    How far the lexical leg is trusted depends on the query but is never negative, so a candidate that is at
    least as good as another in every respect is never ranked below it (as long as the other weights are not
    negative; training keeps them so). With one leg only, the ranking is that leg's own.
    """

    name: str
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.weights) - set(FEATURES))
        if unknown:
            raise ConfigurationError(f"ranker {self.name!r} weighs unknown features: {', '.join(unknown)}")
        if not all(math.isfinite(weight) for weight in self.weights.values()):
            raise ConfigurationError(f"ranker {self.name!r} has a weight that is not finite")

    @property
    def version(self) -> str:
        """Name and content hash; equal weights have equal versions."""
        content = orjson.dumps(dict(self.weights), option=orjson.OPT_SORT_KEYS)
        return f"{self.name}-{hashlib.sha256(content).hexdigest()[:8]}"

    def scores(self, evidence: Evidence) -> Scores:
        """Return one score a candidate, higher is better."""
        if evidence.dense is None or evidence.lexical is None:
            single = evidence.dense if evidence.lexical is None else evidence.lexical
            return np.zeros(len(evidence.chunk_ids)) if single is None else single
        features = feature_matrix(evidence)
        weights = np.array([self.weights.get(name, 0.0) for name in FEATURES])
        lexical_columns = [FEATURES.index(name) for name in _LEXICAL_TRUST]
        direction = features[:, FEATURES.index("lexical")]
        trusted = features[:, lexical_columns] @ weights[lexical_columns]
        # these columns are one column times query constants: their sum must not turn against it
        if float(trusted @ direction) < 0:
            trusted = np.zeros_like(trusted)
        weights[lexical_columns] = 0.0
        scores: Scores = features @ weights + trusted
        return scores

    def ranking(self, evidence: Evidence) -> tuple[str, ...]:
        """Return the ids of the candidates, best first."""
        return tuple(evidence.chunk_ids[at] for at in order(evidence, self.scores(evidence)))

    def to_json(self) -> bytes:
        """Return the artifact."""
        document = {"name": self.name, "weights": dict(self.weights)}
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> LinearRanker:
        """Return the ranker of an artifact, or raise `ConfigurationError`."""
        try:
            document = orjson.loads(content)
            weights = {str(name): float(weight) for name, weight in document["weights"].items()}
            return cls(name=str(document["name"]), weights=weights)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"not a ranker artifact: {error!r}") from error


def order(evidence: Evidence, scores: Scores) -> list[int]:
    """Return the positions of the candidates, best first; ties (to the ninth digit) by chunk id."""
    rounded = np.round(scores, 9)
    return sorted(range(len(rounded)), key=lambda at: (-rounded[at], evidence.chunk_ids[at]))


def shipped_ranker() -> LinearRanker:
    """Return the ranker for collections without training queries (see `docs/retrieval.md`)."""
    artifact = resources.files("mangaassist.serving.retrieval") / "ranker.json"
    return LinearRanker.from_json(artifact.read_bytes())


def single_leg(leg: str) -> LinearRanker:
    """Return the ranker that keeps one leg's order: `dense` or `lexical`."""
    return LinearRanker(name=leg, weights={leg: 1.0})
