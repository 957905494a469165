"""The arm-of-outcome e-process: is one arm of a randomised comparison worse, at any moment one may look?

Take only the failures, in the order they come. When every unit is sent to the treatment with the known chance
`share` and the treatment fails no more often than the control, each failure lies in the treatment with chance
at most `share`, and each success with chance at least `share`. A mixture over larger chances then is an
e-process: exact for any sample size, any failure rate and any number of looks, and it needs no knowledge of
the rates themselves (Ville 1939; Robbins 1970 for the mixture; Ramdas et al. 2023 for e-processes).
Failure and success factors multiply, and so do stages with other shares.

Assumes independent randomisation by unit and the same chance to be scored in both arms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from mangaassist.stats.moments import BinomialCounts

Floats = npt.NDArray[np.float64]

SMALLEST_TAIL = 1e-290
FRACTION_TERMS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryStage:
    """The outcomes of one stage: both arms, and the treatment's known share of the units.

    `n` of the counts are scored units, `successes` those that went well.
    """

    share: float
    treatment: BinomialCounts
    control: BinomialCounts

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share must lie between 0 and 1, got {self.share!r}")


def log_e_harm(
    stages: Sequence[BinaryStage], *, failure_strength: float, success_strength: float | None
) -> float:
    """Return the log e-value against "the treatment fails no more often than the control".

    The strengths are those of the priors, in outcomes (see `log_e_share`); without `success_strength` only
    failures are read, which loses nothing where failures are rare. Harm is shown at level alpha when the
    value reaches ln(1 / alpha), whenever that happens.
    """
    if not stages:
        return 0.0
    share = np.array([stage.share for stage in stages])
    failures = np.array([stage.treatment.failures for stage in stages], dtype=np.float64)
    control_failures = np.array([stage.control.failures for stage in stages], dtype=np.float64)
    total = log_e_share(failures, control_failures, share=share, strength=failure_strength).sum()
    if success_strength is not None:
        successes = np.array([stage.treatment.successes for stage in stages], dtype=np.float64)
        control_successes = np.array([stage.control.successes for stage in stages], dtype=np.float64)
        total += log_e_share(control_successes, successes, share=1.0 - share, strength=success_strength).sum()
    return float(total)


def anytime_p(log_e: float) -> float:
    """Return the p-value of an e-value: valid at any look."""
    return min(1.0, math.exp(-log_e))


def log_e_share(
    inside: npt.ArrayLike, outside: npt.ArrayLike, *, share: npt.ArrayLike, strength: float
) -> Floats:
    """Return the log e-value against "an event falls inside with chance at most `share`", elementwise.

    The mixture is Beta(strength * share, strength * (1 - share)) cut to (share, 1): the larger `strength`,
    the smaller the departures it is quickest to find.
    """
    inside, outside = np.asarray(inside, dtype=np.float64), np.asarray(outside, dtype=np.float64)
    chance = np.asarray(share, dtype=np.float64)
    a, b = strength * chance, strength * (1.0 - chance)
    prior = special.betaln(a, b) + log_upper_tail(a, b, chance)
    posterior = special.betaln(a + inside, b + outside) + log_upper_tail(a + inside, b + outside, chance)
    return np.asarray(posterior - prior - inside * np.log(chance) - outside * np.log1p(-chance))


def log_e_share_bound(inside: Floats, outside: Floats, *, share: Floats) -> Floats:
    """Return what `log_e_share` cannot exceed whatever its prior: the largest log likelihood ratio.

    Many times cheaper, it says where an exact evaluation can be spared.
    """
    count = inside + outside
    observed = np.divide(inside, count, out=np.zeros_like(count), where=count > 0)
    ratio = special.rel_entr(observed, share) + special.rel_entr(1.0 - observed, 1.0 - share)
    return np.where(observed > share, count * ratio, 0.0)


def log_upper_tail(a: npt.ArrayLike, b: npt.ArrayLike, x: npt.ArrayLike) -> Floats:
    """Return ln P(Beta(a, b) > x), also where the probability itself is below the smallest float."""
    a, b, x = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (a, b, x)))
    tail = np.asarray(special.betaincc(a, b, x))
    result = np.log(np.maximum(tail, SMALLEST_TAIL))
    deep = tail < SMALLEST_TAIL
    if deep.any():
        result = np.array(result)
        result[deep] = _log_deep_tail(a[deep], b[deep], x[deep])
    return np.asarray(result)


def _log_deep_tail(a: Floats, b: Floats, x: Floats) -> Floats:
    """Return ln P(Beta(a, b) > x) far above the mean by the continued fraction of Numerical Recipes 6.4.

    By symmetry it is the lower tail of Beta(b, a) at 1 - x; Lentz's method converges in a few terms there.
    """
    y = 1.0 - x
    total = a + b
    c, d = np.ones_like(a), 1.0 / (1.0 - total * y / (b + 1.0))
    fraction = d
    for m in range(1, FRACTION_TERMS):
        for term in (
            m * (a - m) * y / ((b + 2 * m - 1.0) * (b + 2 * m)),
            -(b + m) * (total + m) * y / ((b + 2 * m) * (b + 2 * m + 1.0)),
        ):
            d, c = 1.0 / (1.0 + term * d), 1.0 + term / c
            fraction = fraction * d * c
        if np.all(np.abs(d * c - 1.0) < 1e-12):
            break
    return np.asarray(b * np.log(y) + a * np.log(x) - np.log(b) - special.betaln(a, b) + np.log(fraction))
