"""The head over the text encoder: Gaussian kernels on views of the encoding, plus the n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mangaassist.serving.intent.features import Buckets
from mangaassist.serving.intent.first_stage import Floats, LinearHead


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingView:
    """Some columns of an encoding, centred, projected onto their principal axes, at unit length."""

    first_column: int
    centre: Floats
    axes: Floats

    def of(self, encodings: Floats) -> Floats:
        """Return the view of one encoding, or of many in rows."""
        columns = encodings[..., self.first_column : self.first_column + len(self.centre)]
        projected = (columns - self.centre) @ self.axes
        length = np.sqrt((projected * projected).sum(axis=-1, keepdims=True))
        result: Floats = projected / np.maximum(length, np.float32(1e-9))
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTerm:
    """`weight` exp(-`width` (1 - cos)) between a view and the `support` rows, which have unit length."""

    view: EncodingView
    width: float
    weight: float
    support: Floats

    def nearness(self, encoding: Floats) -> Floats:
        """Return the kernel of one encoding with every support row."""
        return gaussian(self.support @ self.view.of(encoding), self.width, self.weight)


def gaussian(cosines: Floats, width: float, weight: float) -> Floats:
    """Turn cosines into kernel values, in place."""
    cosines -= np.float32(1)
    cosines *= np.float32(width)
    np.exp(cosines, out=cosines)
    cosines *= np.float32(weight)
    return cosines


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelHead:
    """Kernel ridge regression onto the labels' indicators.

    The kernel of two texts is the sum of its terms plus a weighted product of their n-grams; the n-gram part
    is linear, so it is folded into one row a bucket. Far from every support row all scores go to zero,
    which is what makes the score tell the unknown from the known.
    """

    encoding_width: int
    terms: Sequence[KernelTerm]
    coefficients: Floats
    ngrams: LinearHead

    def scores(self, encoding: Floats, buckets: Buckets, weights: Floats) -> Floats:
        """Return the score of every label."""
        nearness = self.terms[0].nearness(encoding)
        for term in self.terms[1:]:
            nearness += term.nearness(encoding)
        result: Floats = nearness @ self.coefficients + self.ngrams.scores(buckets, weights)
        return result
