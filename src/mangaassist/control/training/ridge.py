"""Kernel ridge regression in closed form, with exact leave-one-out predictions.

The leave-one-out residual of a linear smoother is its residual over one minus its leverage (Allen 1974;
Hastie et al., Elements of Statistical Learning, 7.52), so every training text is also a validation text and
calibration needs no second fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.intent.first_stage import Floats

Rows = NDArray[np.intp]
Kernel = Callable[[Rows, Rows], Floats]
"""Kernel values between two sets of training rows."""

JITTER = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeFit:
    """Coefficients of the support rows, and what each row would score had it not been trained on."""

    support: Rows
    coefficients: Floats
    left_out_scores: Floats


def fit_ridge(kernel: Kernel, targets: Floats, *, ridge: float, max_support: int, seed: int) -> RidgeFit:
    """Fit on all rows; with more than `max_support` of them, expanded in a random sample (Nyström)."""
    count = len(targets)
    rows = np.arange(count)
    if count <= max_support:
        return _fit_exactly(kernel(rows, rows), targets, ridge)
    support = np.sort(np.random.default_rng(seed).choice(count, max_support, replace=False))
    return _fit_on_sample(kernel, support, targets, ridge)


def _fit_exactly(gram: Floats, targets: Floats, ridge: float) -> RidgeFit:
    from scipy.linalg import cho_factor, cho_solve
    from scipy.linalg.lapack import spotri

    gram[np.diag_indices_from(gram)] += np.float32(ridge)
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    coefficients = cho_solve(factor, targets, check_finite=False).astype(np.float32)
    inverse, _ = spotri(factor[0], lower=1, overwrite_c=1)
    left_out = targets - coefficients / np.diag(inverse)[:, None]
    return RidgeFit(support=np.arange(len(targets)), coefficients=coefficients, left_out_scores=left_out)


def _fit_on_sample(kernel: Kernel, support: Rows, targets: Floats, ridge: float) -> RidgeFit:
    """Ridge on the Nyström features K(rows, support) L^-T, where L L^T = K(support, support)."""
    from scipy.linalg import cho_factor, cho_solve, solve_triangular

    count = len(targets)
    among = kernel(support, support)
    among[np.diag_indices_from(among)] += np.float32(JITTER)
    lower = np.linalg.cholesky(among)
    features = solve_triangular(lower, kernel(np.arange(count), support).T, lower=True, check_finite=False)
    normal = features @ features.T
    normal[np.diag_indices_from(normal)] += np.float32(ridge)
    factor = cho_factor(normal, lower=True, overwrite_a=True, check_finite=False)
    weights = cho_solve(factor, features @ targets, check_finite=False).astype(np.float32)
    fitted = features.T @ weights
    whitened = solve_triangular(factor[0], features, lower=True, overwrite_b=True, check_finite=False)
    leverage = np.minimum(np.square(whitened).sum(axis=0), np.float32(0.999))
    left_out = targets - (targets - fitted) / (1 - leverage)[:, None]
    coefficients = solve_triangular(lower, weights, lower=True, trans="T", check_finite=False)
    return RidgeFit(support=support, coefficients=coefficients.astype(np.float32), left_out_scores=left_out)
