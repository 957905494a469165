"""Sufficient statistics: what is kept of the observations, mergeable in any order and grouping.

Means and centred sums of squares, never raw sums of squares, so that large offsets cost no precision
(Welford 1962 for one observation, Chan, Golub and LeVeque 1983 for merging).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class BinomialCounts:
    """Trials and successes of a binary observation; raises `ValueError` unless 0 <= successes <= n."""

    n: int
    successes: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.n:
            raise ValueError(f"expected 0 <= successes <= n, got {self.successes!r} of {self.n!r}")

    @property
    def failures(self) -> int:
        """Trials without success."""
        return self.n - self.successes

    @property
    def rate(self) -> float:
        """Share of successes; raises `ZeroDivisionError` without trials."""
        return self.successes / self.n

    def merge(self, other: BinomialCounts) -> BinomialCounts:
        """Return the counts of both samples together."""
        return BinomialCounts(n=self.n + other.n, successes=self.successes + other.successes)

    def to_moments(self) -> Moments:
        """Return the moments of the 0/1 observations."""
        return Moments.from_sums(n=self.n, total=self.successes, total_squares=self.successes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Count, mean and centred sum of squares of one variable."""

    n: int
    mean: float
    squares: float

    @classmethod
    def from_sums(cls, *, n: int, total: float, total_squares: float) -> Moments:
        """Return the moments behind a sum and a raw sum of squares."""
        if n == 0:
            return cls(n=0, mean=0.0, squares=0.0)
        return cls(n=n, mean=total / n, squares=max(0.0, total_squares - total * total / n))

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Moments:
        """Return the moments of `values`."""
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0:
            return cls(n=0, mean=0.0, squares=0.0)
        mean = float(array.mean())
        return cls(n=array.size, mean=mean, squares=float(((array - mean) ** 2).sum()))

    @property
    def variance(self) -> float:
        """Sample variance (n - 1); raises `ZeroDivisionError` for fewer than two observations."""
        return self.squares / (self.n - 1)

    @property
    def mean_variance(self) -> float:
        """Squared standard error of the mean; raises `ZeroDivisionError` below two observations."""
        return self.variance / self.n

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both samples together."""
        n = self.n + other.n
        if n == 0:
            return self
        gap = other.mean - self.mean
        return Moments(
            n=n,
            mean=self.mean + gap * other.n / n,
            squares=self.squares + other.squares + gap * gap * self.n * other.n / n,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMoments:
    """Joint moments of two variables of one unit: numerator `y` and denominator (or covariate) `x`.

    For a clustered mean, `y` is the sum of a unit's observations and `x` their count.
    """

    n: int
    mean_y: float
    mean_x: float
    squares_y: float
    squares_x: float
    products: float

    @classmethod
    def from_sums(
        cls,
        *,
        n: int,
        total_y: float,
        total_x: float,
        total_squares_y: float,
        total_squares_x: float,
        total_products: float,
    ) -> PairMoments:
        """Return the moments behind raw sums, sums of squares and the sum of products."""
        y = Moments.from_sums(n=n, total=total_y, total_squares=total_squares_y)
        x = Moments.from_sums(n=n, total=total_x, total_squares=total_squares_x)
        return cls(
            n=n,
            mean_y=y.mean,
            mean_x=x.mean,
            squares_y=y.squares,
            squares_x=x.squares,
            products=total_products - n * y.mean * x.mean,
        )

    @classmethod
    def of(cls, y: npt.ArrayLike, x: npt.ArrayLike) -> PairMoments:
        """Return the moments of units whose two values stand at the same place of `y` and `x`."""
        return JointMoments.of(np.column_stack([y, x])).pair(0, 1)

    @property
    def y(self) -> Moments:
        """Moments of the first variable alone."""
        return Moments(n=self.n, mean=self.mean_y, squares=self.squares_y)

    @property
    def x(self) -> Moments:
        """Moments of the second variable alone."""
        return Moments(n=self.n, mean=self.mean_x, squares=self.squares_x)

    @property
    def covariance(self) -> float:
        """Sample covariance (n - 1)."""
        return self.products / (self.n - 1)

    def merge(self, other: PairMoments) -> PairMoments:
        """Return the moments of both samples together."""
        n = self.n + other.n
        if n == 0:
            return self
        y, x = self.y.merge(other.y), self.x.merge(other.x)
        gaps = (other.mean_y - self.mean_y) * (other.mean_x - self.mean_x)
        return PairMoments(
            n=n,
            mean_y=y.mean,
            mean_x=x.mean,
            squares_y=y.squares,
            squares_x=x.squares,
            products=self.products + other.products + gaps * self.n * other.n / n,
        )

    def combination(self, weight_y: float, weight_x: float) -> Moments:
        """Return the moments of `weight_y * y + weight_x * x`."""
        squares = (
            weight_y**2 * self.squares_y
            + weight_x**2 * self.squares_x
            + 2 * weight_y * weight_x * self.products
        )
        mean = weight_y * self.mean_y + weight_x * self.mean_x
        return Moments(n=self.n, mean=mean, squares=max(0.0, squares))


@dataclass(frozen=True, slots=True, kw_only=True)
class JointMoments:
    """Joint moments of any few variables of one unit: means and the matrix of centred products."""

    n: int
    means: tuple[float, ...]
    products: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, rows: npt.ArrayLike) -> JointMoments:
        """Return the moments of `rows`, one row a unit, one column a variable."""
        array = np.asarray(rows, dtype=np.float64)
        if len(array) == 0:
            zeros = (0.0,) * array.shape[1]
            return cls(n=0, means=zeros, products=(zeros,) * array.shape[1])
        means = array.mean(axis=0)
        centred = array - means
        return cls(n=len(array), means=_floats(means), products=_matrix(centred.T @ centred))

    @classmethod
    def from_sums(
        cls, *, n: int, totals: Sequence[float], total_products: Sequence[Sequence[float]]
    ) -> JointMoments:
        """Return the moments behind raw sums and raw sums of products (a symmetric matrix)."""
        sums = np.asarray(totals, dtype=np.float64)
        means = sums / n if n else sums
        centred = np.asarray(total_products, dtype=np.float64) - n * np.outer(means, means)
        return cls(n=n, means=_floats(means), products=_matrix(centred))

    def merge(self, other: JointMoments) -> JointMoments:
        """Return the moments of both samples together."""
        n = self.n + other.n
        if n == 0:
            return self
        gap = np.subtract(other.means, self.means)
        means = np.asarray(self.means) + gap * other.n / n
        shift = np.outer(gap, gap) * (self.n * other.n / n)
        products = np.add(self.products, other.products) + shift
        return JointMoments(n=n, means=_floats(means), products=_matrix(products))

    def pair(self, y: int, x: int) -> PairMoments:
        """Return the moments of columns `y` and `x`."""
        return PairMoments(
            n=self.n,
            mean_y=self.means[y],
            mean_x=self.means[x],
            squares_y=self.products[y][y],
            squares_x=self.products[x][x],
            products=self.products[y][x],
        )

    def combination(self, weights: Sequence[float]) -> Moments:
        """Return the moments of the weighted sum of the columns."""
        vector = np.asarray(weights, dtype=np.float64)
        squares = float(vector @ np.asarray(self.products) @ vector)
        return Moments(n=self.n, mean=float(vector @ np.asarray(self.means)), squares=max(0.0, squares))


def _floats(vector: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Return the vector as plain floats."""
    return tuple(vector.tolist())


def _matrix(matrix: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """Return the matrix as rows of plain floats."""
    return tuple(tuple(row) for row in matrix.tolist())
