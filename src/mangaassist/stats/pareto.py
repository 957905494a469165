"""Pareto sets: which points no other point beats, and how sure that is given the noise of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

from mangaassist.stats.resampling import resampling_weights

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One measure of a point; differences of at most `epsilon` do not count as an advantage.

    `quantile` is None for a mean over cases, or the quantile of the cases that is compared.
    """

    name: str
    maximise: bool = False
    epsilon: float = 0.0
    quantile: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """A point's estimates, its membership of the front, and the points that robustly dominate it."""

    estimates: tuple[float, ...]
    on_front: bool
    front_probability: float
    dominated_by: tuple[int, ...]


def pareto_front(points: npt.ArrayLike, objectives: Sequence[Objective]) -> tuple[bool, ...]:
    """Tell for each row of `points` whether no other row is at least as good in all and better in one.

    Equal points are kept together. Raises `ValueError` for values that are not numbers.
    """
    losses = _losses(points, objectives)
    return tuple((~_dominated(losses[None, :, :])[0]).tolist())


def pareto_set(
    cases: npt.ArrayLike,
    objectives: Sequence[Objective],
    *,
    random: Random,
    resamples: int = 1_000,
    certainty: float = 0.95,
) -> tuple[ParetoPoint, ...]:
    """Return the Pareto set of points measured on the same cases: `cases[case, point, objective]`.

    Cases are drawn jointly for all points, so that what makes a case hard or dear is shared by them. Point a
    is robustly dominated by b when it is worse in one objective with more than the given certainty and not
    better by more than epsilon in any other.
    """
    measured = np.asarray(cases, dtype=np.float64)
    if measured.ndim != 3 or len(measured) == 0:
        raise ValueError(f"expected cases by point by objective, got the shape {measured.shape}")
    estimates = _statistics(measured, objectives)
    draws = np.stack(
        [
            _statistics(np.repeat(measured, weights.astype(np.intp), axis=0), objectives)
            for weights in resampling_weights(len(measured), random=random, resamples=resamples)
        ]
    )
    drawn_losses = np.stack([_losses(draw, objectives) for draw in draws])
    losses = _losses(estimates, objectives)
    front = ~_dominated(losses[None, :, :])[0]
    probability = np.mean(~_dominated(drawn_losses), axis=0)
    dominators = _robust_dominators(losses, drawn_losses, objectives, certainty)
    return tuple(
        ParetoPoint(
            estimates=tuple(estimates[at].tolist()),
            on_front=bool(front[at]),
            front_probability=float(probability[at]),
            dominated_by=tuple(np.flatnonzero(dominators[at]).tolist()),
        )
        for at in range(len(estimates))
    )


def _statistics(measured: Array, objectives: Sequence[Objective]) -> Array:
    """Return each point's mean or quantile over the cases: one row a point, one column an objective."""
    columns = [
        measured[:, :, at].mean(axis=0)
        if objective.quantile is None
        else np.quantile(measured[:, :, at], objective.quantile, axis=0)
        for at, objective in enumerate(objectives)
    ]
    return np.column_stack(columns)


def _losses(points: npt.ArrayLike, objectives: Sequence[Objective]) -> Array:
    """Return the points so that less is better in each column."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(objectives):
        raise ValueError(f"expected {len(objectives)} objectives of each point, got the shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError("every point needs a number for every objective")
    losses: Array = array * np.array([-1.0 if objective.maximise else 1.0 for objective in objectives])
    return losses


def _dominated(losses: Array) -> npt.NDArray[np.bool_]:
    """Tell for each draw and point whether another point is nowhere worse and somewhere better."""
    mine, others = losses[:, :, None, :], losses[:, None, :, :]
    nowhere_worse = np.all(others <= mine, axis=3)
    somewhere_better = np.any(others < mine, axis=3)
    dominated: npt.NDArray[np.bool_] = np.any(nowhere_worse & somewhere_better, axis=2)
    return dominated


def _robust_dominators(
    losses: Array, drawn: Array, objectives: Sequence[Objective], certainty: float
) -> npt.NDArray[np.bool_]:
    """Return the matrix whose entry (a, b) tells that b robustly dominates a."""
    epsilon = np.array([objective.epsilon for objective in objectives])
    surely_worse = np.mean(drawn[:, :, None, :] > drawn[:, None, :, :], axis=0) > certainty
    better = losses[:, None, :] < losses[None, :, :] - epsilon
    dominators: npt.NDArray[np.bool_] = np.any(surely_worse, axis=2) & ~np.any(better, axis=2)
    return dominators
