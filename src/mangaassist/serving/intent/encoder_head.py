"""The head over the sentence encoder: a Gaussian kernel on the vectors, plus the n-grams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mangaassist.serving.intent.features import Buckets
from mangaassist.serving.intent.first_stage import Floats, LinearHead


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelHead:
    """Kernel ridge regression onto the labels' indicators.

    The kernel of two texts is exp(-width (1 - cos of their vectors)) plus a weighted product of their
    n-grams; the n-gram half is linear, so it is folded into one row a bucket. Far from every support
    vector all scores go to zero, which is what makes the score tell the unknown from the known.
    """

    support: Floats
    coefficients: Floats
    width: float
    ngrams: LinearHead

    @property
    def dimension(self) -> int:
        """Length of the vectors it understands."""
        return int(self.support.shape[1])

    def scores(self, vector: Floats, buckets: Buckets, weights: Floats) -> Floats:
        """Return the score of every label."""
        similarity = self.support @ vector
        similarity -= np.float32(1)
        similarity *= np.float32(self.width)
        nearness = np.exp(similarity, out=similarity)
        result: Floats = nearness @ self.coefficients + self.ngrams.scores(buckets, weights)
        return result
