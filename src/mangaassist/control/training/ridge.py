"""Kernel ridge regression in closed form, with exact leave-one-out predictions.

The leave-one-out residual of a linear smoother is its residual over one minus its leverage (Allen 1974;
Hastie et al., Elements of Statistical Learning, 7.52); for kernel ridge that is coefficient over diagonal of
the inverse. So every training text is also a validation text, and calibration needs no second fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.intent.first_stage import Floats

JITTER = 1e-3


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


class GaussianLandmarks:
    """The Gaussian kernel exp(-width (1 - cos)), expanded in a sample of the rows (Williams & Seeger 2001).

    With as many landmarks as rows it is exact.
    """

    def __init__(self, vectors: Floats, chosen: NDArray[np.intp], *, width: float) -> None:
        from scipy.linalg import solve_triangular

        self.support = vectors[chosen]
        self._width = np.float32(width)
        among = self._kernel(self.support, self.support)
        self._exact = len(chosen) == len(vectors)
        if self._exact:
            self._features = among
            return
        among[np.diag_indices_from(among)] += np.float32(JITTER)
        self._lower = np.linalg.cholesky(among)
        self._features = solve_triangular(
            self._lower, self._kernel(self.support, vectors), lower=True, check_finite=False
        )

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

    def _kernel(self, left: Floats, right: Floats) -> Floats:
        nearness: Floats = left @ right.T
        nearness -= np.float32(1)
        nearness *= self._width
        np.exp(nearness, out=nearness)
        return nearness
