"""Variance reduction by behaviour before the experiment (CUPED: Deng, Xu, Kohavi and Walker 2013)."""

from __future__ import annotations

from dataclasses import dataclass

from mangaassist.stats.moments import Moments, PairMoments
from mangaassist.stats.outcome import CannotCompute, Reason, too_few


@dataclass(frozen=True, slots=True, kw_only=True)
class CupedAdjustment:
    """Adjusted moments of both arms, for any test of two means, and the share of variance taken away.

    `theta` is the slope of the outcome on the covariate within arms.
    """

    control: Moments
    treatment: Moments
    theta: float
    variance_reduction: float


def cuped(control: PairMoments, treatment: PairMoments) -> CupedAdjustment | CannotCompute:
    """Take out of the outcome (y) what the covariate (x) foretells; x must be known before assignment.

    The slope is pooled over the arms (cov / var within arms), so the adjustment favours neither. Units
    without history take part with the mean of the others as their covariate.
    """
    fewest = min(control.n, treatment.n)
    if fewest < 2:
        return too_few(fewest, 2, what="units in the smaller arm")
    squares_x = control.squares_x + treatment.squares_x
    squares_y = control.squares_y + treatment.squares_y
    if squares_x == 0.0 or squares_y == 0.0:
        which = "covariate" if squares_x == 0.0 else "outcome"
        return CannotCompute(
            reason=Reason.NO_VARIATION, detail=f"the {which} has the same value in all units"
        )
    theta = (control.products + treatment.products) / squares_x
    centre = (control.n * control.mean_x + treatment.n * treatment.mean_x) / (control.n + treatment.n)
    adjusted = [_adjusted(arm, theta, centre) for arm in (control, treatment)]
    left = (adjusted[0].squares + adjusted[1].squares) / squares_y
    return CupedAdjustment(
        control=adjusted[0], treatment=adjusted[1], theta=theta, variance_reduction=1.0 - left
    )


def _adjusted(arm: PairMoments, theta: float, centre: float) -> Moments:
    """Return the moments of y - theta (x - centre)."""
    moments = arm.combination(1.0, -theta)
    return Moments(n=arm.n, mean=moments.mean + theta * centre, squares=moments.squares)
