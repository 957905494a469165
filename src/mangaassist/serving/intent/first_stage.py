"""The first stage: one linear head over hashed n-grams, tens of microseconds a text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.intent.features import Buckets

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramWeights:
    """What a text's n-grams count: `idf` a bucket; a text's vector has unit length."""

    idf: Floats

    def of(self, buckets: Buckets) -> Floats:
        """Return the weight of each bucket in a text that has exactly these."""
        weights = self.idf[buckets]
        length = np.float32(np.sqrt(weights @ weights))
        return weights / length if length > 0 else weights


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearHead:
    """One score a label: the n-grams' weights times a row a bucket."""

    rows: Floats

    def scores(self, buckets: Buckets, weights: Floats) -> Floats:
        """Return the score of every label."""
        result: Floats = weights @ self.rows[buckets]
        return result
