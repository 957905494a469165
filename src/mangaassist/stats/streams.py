"""Accumulators that take one observation at a time and give sufficient statistics (Welford 1962)."""

from __future__ import annotations

from mangaassist.stats.moments import Moments, PairMoments


class MomentsStream:
    """Running moments of one variable."""

    __slots__ = ("_mean", "_n", "_squares")

    def __init__(self) -> None:
        self._n = 0
        self._mean = 0.0
        self._squares = 0.0

    def update(self, value: float) -> None:
        """Take one observation."""
        self._n += 1
        gap = value - self._mean
        self._mean += gap / self._n
        self._squares += gap * (value - self._mean)

    def moments(self) -> Moments:
        """Return what has been seen so far."""
        return Moments(n=self._n, mean=self._mean, squares=self._squares)


class PairMomentsStream:
    """Running joint moments of two variables of one unit."""

    __slots__ = ("_mean_x", "_mean_y", "_n", "_products", "_squares_x", "_squares_y")

    def __init__(self) -> None:
        self._n = 0
        self._mean_y = self._mean_x = 0.0
        self._squares_y = self._squares_x = self._products = 0.0

    def update(self, y: float, x: float) -> None:
        """Take the two values of one unit."""
        self._n += 1
        gap_y = y - self._mean_y
        gap_x = x - self._mean_x
        self._mean_y += gap_y / self._n
        self._mean_x += gap_x / self._n
        self._squares_y += gap_y * (y - self._mean_y)
        self._squares_x += gap_x * (x - self._mean_x)
        self._products += gap_y * (x - self._mean_x)

    def moments(self) -> PairMoments:
        """Return what has been seen so far."""
        return PairMoments(
            n=self._n,
            mean_y=self._mean_y,
            mean_x=self._mean_x,
            squares_y=self._squares_y,
            squares_x=self._squares_x,
            products=self._products,
        )
