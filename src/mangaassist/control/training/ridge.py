"""Kernel ridge regression in closed form, with exact leave-one-out predictions.

The leave-one-out residual of a linear smoother is its residual over one minus its leverage (Allen 1974;
Hastie et al., Elements of Statistical Learning, 7.52); for kernel ridge that is coefficient over diagonal of
the inverse. So every training text is also a validation text, and calibration needs no second fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.intent.encoder_head import EncodingView, gaussian
from mangaassist.serving.intent.first_stage import Floats

JITTER = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelShape:
    """One term of a kernel: `weight` exp(-`width` (1 - cos)) on `dimension` principal axes."""

    dimension: int
    width: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeFit:
    """A coefficient for each row and label, and what each row would score had it not been trained on."""

    coefficients: Floats
    left_out_scores: Floats


def fit_ridge(gram: Floats, targets: Floats, *, ridge: float) -> RidgeFit:
    """Solve (gram + ridge) coefficients = targets; `gram` is overwritten."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.linalg.lapack import strtri

    gram[np.diag_indices_from(gram)] += np.float32(ridge)
    factor, _ = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    coefficients = cho_solve((factor, True), targets, check_finite=False).astype(np.float32)
    # the diagonal of the inverse of L L^T holds the squared column lengths of the inverse of L
    inverse, _ = strtri(factor, lower=1, overwrite_c=1)
    diagonal = np.array([column[row:] @ column[row:] for row, column in enumerate(inverse.T)])
    left_out = targets - coefficients / diagonal[:, None]
    return RidgeFit(coefficients=coefficients, left_out_scores=left_out.astype(np.float32))


class KernelLandmarks:
    """A sum of Gaussian kernels, expanded in a sample of the rows (Williams & Seeger 2001).

    `views` are what the terms see of each row; with as many landmarks as rows the expansion is exact.
    """

    def __init__(
        self, views: Sequence[Floats], chosen: NDArray[np.intp], *, terms: Sequence[KernelShape]
    ) -> None:
        from scipy.linalg import solve_triangular

        self.supports = [view[chosen] for view in views]
        self._terms = terms
        among = self._kernel(self.supports)
        self._exact = len(chosen) == len(views[0])
        if self._exact:
            self._features = among
            return
        among[np.diag_indices_from(among)] += np.float32(JITTER)
        self._lower = np.linalg.cholesky(among)
        self._features = solve_triangular(self._lower, self._kernel(views), lower=True, check_finite=False)

    def gram(self) -> Floats:
        """Return the kernel values of all pairs of rows."""
        if self._exact:
            return self._features.copy()
        product: Floats = self._features.T @ self._features
        return product

    def on_support(self, coefficients: Floats) -> Floats:
        """Turn coefficients of the rows into coefficients of the landmarks."""
        from scipy.linalg import solve_triangular

        if self._exact:
            return coefficients
        inner = self._features @ coefficients
        outer = solve_triangular(self._lower, inner, lower=True, trans="T", check_finite=False)
        return np.asarray(outer, dtype=np.float32)

    def _kernel(self, views: Sequence[Floats]) -> Floats:
        """Return the kernel of every landmark with every row of the views."""
        total = np.zeros((len(self.supports[0]), len(views[0])), dtype=np.float32)
        for term, support, view in zip(self._terms, self.supports, views, strict=True):
            total += gaussian(support @ view.T, term.width, term.weight)
        return total


def principal_view(encodings: Floats, columns: range, *, dimension: int) -> EncodingView:
    """Fit the view of these columns onto their `dimension` axes of greatest variance (Pearson 1901)."""
    part = encodings[:, columns.start : columns.stop]
    centre = part.mean(axis=0)
    centred = (part - centre).astype(np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :dimension]
    # an axis has no direction of its own: its largest entry decides, so that refits agree
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return EncodingView(
        first_column=columns.start, centre=centre.astype(np.float32), axes=axes.astype(np.float32)
    )
