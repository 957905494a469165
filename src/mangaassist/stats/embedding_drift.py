"""Do two samples of vectors come from the same source? A domain classifier, and kernel distance.

Both are held to their false-alarm rate by what they resample: the classifier is scored only on vectors that
it was not trained on, and the kernel test permutes the pooled sample (permuting one side only, as some
libraries do, alarms on every sample).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from mangaassist.stats.outcome import CannotCompute, too_few

Floats = npt.NDArray[np.float64]

MIN_VECTORS = 100
MAX_VECTORS = 2_000
MAX_KERNEL_VECTORS = 1_000
TAILS = (0.05, 0.1, 0.25, 0.5)
RIDGE_SHARE = 5.0
NEWTON_STEPS = 6
PERMUTATIONS = 1_999


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainClassification:
    """How well a classifier tells the two samples apart on vectors it has not seen.

    `new_share` is the excess of the current sample among the vectors that look most current: where a share of
    the traffic is wholly new and the rest unchanged, it estimates that share. `auc` is 0.55 for 10 % of new
    traffic even with a perfect classifier, so it is shown and not alarmed on.
    """

    auc: float
    new_share: float
    p_value: float
    n_baseline: int
    n_current: int

    def alarms(self, *, alpha: float = 0.001, floor: float = 0.05) -> bool:
        """Tell whether the change is more than chance and at least as large as `floor`."""
        return self.p_value < alpha and self.new_share >= floor


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelDistance:
    """Maximum mean discrepancy (squared, unbiased) with its permutation p-value."""

    squared: float
    p_value: float
    n_baseline: int
    n_current: int


def classify_domains(
    baseline: npt.ArrayLike, current: npt.ArrayLike, *, generator: np.random.Generator
) -> DomainClassification | CannotCompute:
    """Train a classifier on one half of both samples, score the other half, and the other way round.

    At most 2,000 vectors a sample are used, drawn at random.
    """
    before = _drawn(baseline, MAX_VECTORS, generator=generator)
    now = _drawn(current, MAX_VECTORS, generator=generator)
    if min(len(before), len(now)) < MIN_VECTORS:
        return too_few(min(len(before), len(now)), MIN_VECTORS, what="vectors in the smaller sample")
    rows = np.vstack([before, now])
    rows = (rows - rows.mean(axis=0)) / max(float(rows.std()), 1e-12)
    labels = np.repeat([0.0, 1.0], [len(before), len(now)])
    fold = np.concatenate([np.arange(len(before)) % 2, np.arange(len(now)) % 2]).astype(bool)
    halves = []
    for held_out in (fold, ~fold):
        weights = fit_logistic(rows[~held_out], labels[~held_out])
        halves.append(_held_out_figures(rows[held_out] @ weights, labels[held_out] == 1.0))
    auc = sum(half.auc for half in halves) / 2.0
    # without a change the two halves' scores are nearly the same number, so their mean is taken for one
    scores = np.mean([half.scores for half in halves], axis=0)
    best = int(scores.argmax())
    return DomainClassification(
        auc=auc,
        new_share=float(np.mean([half.excess[best] for half in halves])),
        p_value=min(1.0, len(TAILS) * float(stats.norm.sf(scores[best]))),
        n_baseline=len(before),
        n_current=len(now),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeldOutFigures:
    """Of one half: the AUC, and for each tail the excess of current vectors and its standard score."""

    auc: float
    excess: Floats
    scores: Floats


def _held_out_figures(scores: Floats, current: npt.NDArray[np.bool_]) -> _HeldOutFigures:
    """Count the current vectors among those that look most current.

    What is new is often a minority: it stands out in the tail while the mean rank hardly moves.
    """
    n, n_current = len(scores), int(current.sum())
    ranked = current[np.argsort(-scores, kind="stable")]
    sizes = np.array([round(tail * n) for tail in TAILS])
    found = np.cumsum(ranked)[sizes - 1]
    share = n_current / n
    variance = sizes * share * (1.0 - share) * (n - sizes) / (n - 1)
    ranks = stats.rankdata(scores)[current].sum() - n_current * (n_current + 1) / 2.0
    return _HeldOutFigures(
        auc=float(ranks) / (n_current * (n - n_current)),
        excess=found / n_current - (sizes - found) / (n - n_current),
        scores=(found - sizes * share) / np.sqrt(variance),
    )


def fit_logistic(rows: Floats, labels: Floats) -> Floats:
    """Return the weights of a ridge-penalised logistic regression through the origin, by Newton's method.

    The penalty is a share of the information of the average direction, so that it fits any dimension.
    """
    weights = np.zeros(rows.shape[1])
    penalty = RIDGE_SHARE * 0.25 * float((rows**2).sum()) / rows.shape[1]
    offset = special.logit(labels.mean())
    for _ in range(NEWTON_STEPS):
        chance = special.expit(rows @ weights + offset)
        slope = rows.T @ (labels - chance) - penalty * weights
        curvature = (rows * (chance * (1.0 - chance))[:, None]).T @ rows
        curvature[np.diag_indices_from(curvature)] += penalty
        weights += np.linalg.solve(curvature, slope)
    return weights


def kernel_distance(
    baseline: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    generator: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> KernelDistance | CannotCompute:
    """Return the Gaussian-kernel distance of two samples (Gretton et al. 2012), width by the median distance.

    At most 1,000 vectors a sample are used, drawn at random.
    """
    before = _drawn(baseline, MAX_KERNEL_VECTORS, generator=generator)
    now = _drawn(current, MAX_KERNEL_VECTORS, generator=generator)
    n, m = len(before), len(now)
    if min(n, m) < MIN_VECTORS:
        return too_few(min(n, m), MIN_VECTORS, what="vectors in the smaller sample")
    kernel = _gaussian_kernel(np.vstack([before, now]))
    inside = np.zeros((n + m, permutations + 1))
    inside[:n, 0] = 1.0
    for column in range(1, permutations + 1):
        inside[generator.permutation(n + m)[:n], column] = 1.0
    sums = kernel @ inside
    within = np.einsum("ij,ij->j", inside, sums)
    across = sums.sum(axis=0) - within
    beyond = float(kernel.sum()) - within - 2.0 * across
    squared = within / (n * (n - 1)) + beyond / (m * (m - 1)) - 2.0 * across / (n * m)
    p_value = float(np.mean(squared >= squared[0] - 1e-15))
    return KernelDistance(squared=float(squared[0]), p_value=p_value, n_baseline=n, n_current=m)


def _gaussian_kernel(rows: Floats) -> Floats:
    """Return the kernel matrix with an empty diagonal."""
    norms = (rows**2).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms[None, :] - 2.0 * rows @ rows.T, 0.0)
    middle = float(np.median(squared[np.triu_indices(len(rows), 1)]))
    kernel = np.exp(-squared / middle) if middle > 0.0 else np.ones_like(squared)
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(kernel)


def _drawn(sample: npt.ArrayLike, most: int, *, generator: np.random.Generator) -> Floats:
    """Return at most `most` rows, drawn without replacement, in random order."""
    rows = np.asarray(sample, dtype=np.float64)
    return np.asarray(rows[generator.permutation(len(rows))[:most]])
