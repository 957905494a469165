"""A small labelled set, and embedders without weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mangaassist.control.training.intent import (
    IntentExample,
    IntentTrainingConfig,
    TextEncodings,
    train_intent,
)
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.ports.embedder import Matrix
from mangaassist.serving.intent.artifact import IntentArtifact
from mangaassist.serving.intent.features import ngram_buckets, normalise

WORDS = {
    "order_tracking": ("parcel", "tracking", "shipped", "arrive", "courier"),
    "promotion": ("coupon", "sale", "discount", "points", "bargain"),
    "escalation": ("human", "manager", "complaint", "furious", "lawyer"),
    "out_of_scope": ("weather", "homework", "flight", "recipe", "election"),
}
OPENINGS = ("where is my", "tell me about the", "i need a", "what about this", "please the", "any", "hey")


def examples() -> list[IntentExample]:
    """Every opening with every word of every intent: separable, and small."""
    return [
        IntentExample(text=f"{opening} {word}", intent=intent)
        for intent, words in WORDS.items()
        for opening in OPENINGS
        for word in words
    ]


class NgramEmbedder:
    """A `TextEncoder` that folds n-grams into a few dimensions: deterministic, no weights."""

    version = "ngrams-1"
    dimension = 32
    encoding_width = 96

    def embed(self, texts: Sequence[str]) -> Matrix:
        return self._folded(texts, self.dimension)

    def encode(self, texts: Sequence[str]) -> Matrix:
        return np.concatenate(
            [self.embed(texts), self._folded(texts, self.encoding_width - self.dimension)], axis=1
        )

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        return (await self.encode_query(text))[: self.dimension]

    async def encode_query(self, text: str) -> NDArray[np.float32]:
        encoding: NDArray[np.float32] = self.encode([text])[0]
        return encoding

    def _folded(self, texts: Sequence[str], width: int) -> Matrix:
        rows = np.zeros((len(texts), width), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            np.add.at(row, ngram_buckets(normalise(text)) % width, 1)
            row /= np.linalg.norm(row)
        return rows


class BrokenEmbedder(NgramEmbedder):
    """An embedder whose queries fail."""

    async def encode_query(self, text: str) -> NDArray[np.float32]:
        raise DependencyUnavailableError("the encoder is closed")


def train_small(config: IntentTrainingConfig | None = None, *, encoder: bool = True) -> IntentArtifact:
    """Train on `examples`."""
    rows, embedder = examples(), NgramEmbedder()
    return train_intent(
        rows,
        encodings=TextEncodings(
            values=embedder.encode([row.text for row in rows]),
            dimension=embedder.dimension,
            encoder_version=embedder.version,
        )
        if encoder
        else None,
        config=config or IntentTrainingConfig(),
        provenance={},
    ).artifact
