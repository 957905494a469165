"""Observations of an experiment in a table of any size, read as sums by unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mangaassist.domain.experiments import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """What a table holds: its rows, numeric metric columns, and which of them only hold 0 and 1.

    `covariates` names, by metric, the column of its value before exposure (`pre_<metric>`).
    """

    rows: int
    metrics: tuple[str, ...]
    binary: frozenset[str]
    covariates: Mapping[str, str]
    arms: tuple[str, ...]
    phases: tuple[int, ...]
    segments: tuple[str, ...]
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSums:
    """Sums over the units of one arm, in one phase and segment (None: all), of one metric.

    By unit, `y` is the sum of its values, `k` their count (or the sum of the denominators), `x` its value
    before exposure. Units without `x` count with the mean of the others. `units` includes those with k = 0.
    """

    metric: str
    phase: int
    arm: str
    segment: str | None
    units: int
    y: float
    k: float
    x: float
    yy: float
    kk: float
    xx: float
    yk: float
    yx: float
    kx: float
    covariate_units: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileSums:
    """A quantile of one arm over all phases, and by unit how many values (`k`) lie above it (`y`)."""

    metric: str
    arm: str
    value: float
    units: int
    y: float
    k: float
    yy: float
    kk: float
    yk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSums:
    """Everything an analysis needs of a table.

    The values of a quantile metric are 1 above control's quantile (of the segment), else 0.
    `mixed_units` were seen in more than one arm of a phase; they are left out.
    """

    units: Mapping[tuple[int, str], int]
    mixed_units: int
    sums: Sequence[UnitSums]
    quantiles: Sequence[QuantileSums]


class ObservationTable(Protocol):
    """A table with one row an observation: columns unit, arm and metrics, or unit, arm, metric, value.

    Further columns are known by name: `phase` (number, 1 when absent), `at` (time), one segment column,
    `pre_<metric>`. Every implementation promises: null and not-a-number are no value; a unit without any
    value still counts as a unit; sums agree with exact arithmetic to 1e-9.
    """

    def shape(self) -> TableShape:
        """Return what the table holds; raises `InvalidRequestError` when it is no table of observations."""
        ...

    def sums(
        self,
        metrics: Sequence[Metric],
        *,
        control: str,
        by_segment: bool = True,
        until: datetime | None = None,
    ) -> TableSums:
        """Return the sums of some metrics, of rows `at` or before a moment only if one is given."""
        ...

    def quantile_at(self, metric: Metric, *, arm: str, levels: Sequence[float]) -> tuple[float, ...]:
        """Return the smallest values of an arm with at least these shares at or below them."""
        ...
