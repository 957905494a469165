"""The SQL that sums observations by unit, and the units by cell (phase, arm, segment)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mangaassist.adapters.duckdb.layout import VIEW, Layout, literal
from mangaassist.domain.experiments import Metric
from mangaassist.ports.observations import TableShape

MIXED: Final = 255
"""Stands for the arm of a unit that was seen in several."""

PLAIN_SUMS: Final = ("y", "k", "yy", "kk", "yk")
OWN_QUANTILE_SUMS: Final = ("o", "oo", "ok")
COVARIATE_SUMS: Final = ("nx", "x", "xx", "yx", "kx", "y_known", "k_known")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Quantiles of one metric: of control over all and by segment, and of every arm."""

    control: float | None
    by_segment: Mapping[str, float] = field(default_factory=dict)
    by_arm: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitQuery:
    """One pass over the units: overall, or by segment.

    A unit is grouped by 64 bits: its hash, whose lowest bits give way to the number of its cell.
    """

    layout: Layout
    shape: TableShape
    metrics: Sequence[Metric]
    thresholds: Mapping[str, Thresholds]
    segmented: bool
    where: str = ""

    def sql(self) -> str:
        """Return rows of cell number, arm number (or `MIXED`), units, and the sums of every metric."""
        cells = len(self.shape.phases) * self.segment_count
        mask = (1 << max(1, (cells - 1).bit_length())) - 1
        arm = arm_number(self.layout, self.shape)
        by_unit = ["count(*)::DOUBLE AS n"]
        by_cell = ["count(*)"]
        for at, metric in enumerate(self.metrics):
            by_unit += self._values_of_unit(at, metric)
            by_cell += [f"sum({expression})::DOUBLE" for expression in self._summed(at, metric)]
        return (
            f"SELECT (key & {mask})::INTEGER AS cell, CASE WHEN a = b THEN a ELSE {MIXED} END AS arm,"
            f" {', '.join(by_cell)} FROM (SELECT (hash({self.layout.unit}) & {2**64 - 1 - mask}::UBIGINT)"
            f" | ({self._cell()})::UBIGINT AS key, min({arm}) AS a, max({arm}) AS b, {', '.join(by_unit)}"
            f" FROM {VIEW}{self.where} GROUP BY key) GROUP BY cell, arm ORDER BY cell, arm"
        )

    @property
    def segment_count(self) -> int:
        """How many segments a phase is split into."""
        return len(self.shape.segments) if self.segmented else 1

    def names(self, metric: Metric) -> tuple[str, ...]:
        """Return the names of a metric's sums, in the order of the result."""
        names: tuple[str, ...] = PLAIN_SUMS
        if metric.kind == "quantile" and not self.segmented:
            names += OWN_QUANTILE_SUMS
        if self._adjusted(metric):
            names += COVARIATE_SUMS
        return names

    def _cell(self) -> str:
        layout, shape = self.layout, self.shape
        phase = "0" if layout.phase is None else numbered(layout.phase, [str(one) for one in shape.phases])
        if not self.segmented:
            return phase
        return f"{phase} * {len(shape.segments)} + {segment_number(layout, shape)}"

    def _values_of_unit(self, at: int, metric: Metric) -> Iterator[str]:
        """Yield y, k where it is not simply the number of rows, and x."""
        value = self.layout.values[metric.name]
        if metric.denominator is not None:
            denominator = self.layout.values[metric.denominator]
            yield f"sum(CASE WHEN {denominator} IS NOT NULL THEN {value} END) AS y{at}"
            yield f"sum(CASE WHEN {value} IS NOT NULL THEN {denominator} END) AS k{at}"
        elif metric.kind == "quantile":
            yield f"sum(({value} > {self._control_threshold(metric)})::DOUBLE) AS y{at}"
            if not self.segmented:
                yield f"sum(({value} > {self._own_threshold(metric)})::DOUBLE) AS o{at}"
        else:
            yield f"sum({value}) AS y{at}"
        if self._counted(metric) and metric.denominator is None:
            yield f"count({value})::DOUBLE AS k{at}"
        if self._adjusted(metric):
            yield f"max({self.layout.covariates[metric.name]}) AS x{at}"

    def _summed(self, at: int, metric: Metric) -> Iterator[str]:
        """Yield what is summed over the units of a cell, in the order of `names`."""
        y, k = f"coalesce(y{at}, 0)", f"coalesce(k{at}, 0)" if self._counted(metric) else "n"
        if metric.absent is not None and self._counted(metric):
            y, k = f"(CASE WHEN {k} = 0 THEN {metric.absent} ELSE {y} END)", f"greatest({k}, 1)"
        yield from (y, k, f"{y} * {y}", f"{k} * {k}", f"{y} * {k}")
        if metric.kind == "quantile" and not self.segmented:
            own = f"coalesce(o{at}, 0)"
            yield from (own, f"{own} * {own}", f"{own} * {k}")
        if self._adjusted(metric):
            x = f"x{at}"
            yield f"({x} IS NOT NULL)::INTEGER"
            for expression in (x, f"{x} * {x}", f"{y} * {x}", f"{k} * {x}"):
                yield f"coalesce({expression}, 0)"
            for expression in (y, k):
                yield f"CASE WHEN {x} IS NULL THEN 0 ELSE {expression} END"

    def _counted(self, metric: Metric) -> bool:
        """Whether k is a column of its own."""
        return metric.denominator is not None or metric.name not in self.layout.complete

    def _adjusted(self, metric: Metric) -> bool:
        return not self.segmented and metric.kind != "quantile" and metric.name in self.layout.covariates

    def _control_threshold(self, metric: Metric) -> str:
        found = self.thresholds[metric.name]
        if not self.segmented:
            return _constant(found.control)
        cases = {self.shape.segments.index(segment): value for segment, value in found.by_segment.items()}
        return _switch(segment_number(self.layout, self.shape), cases)

    def _own_threshold(self, metric: Metric) -> str:
        found = self.thresholds[metric.name]
        cases = {self.shape.arms.index(arm): value for arm, value in found.by_arm.items()}
        return _switch(arm_number(self.layout, self.shape), cases)


def arm_number(layout: Layout, shape: TableShape) -> str:
    """Return the position of a row's arm."""
    return numbered(layout.arm, [literal(arm) for arm in shape.arms])


def segment_number(layout: Layout, shape: TableShape) -> str:
    """Return the position of a row's segment; only for tables that have some."""
    assert layout.segment is not None, "only tables with segments are split by them"
    return numbered(layout.segment, [literal(segment) for segment in shape.segments])


def numbered(expression: str, values: Sequence[str]) -> str:
    """Return the position of a value among all there are, as a small number."""
    if len(values) == 1:
        return "0::UTINYINT"
    cases = " ".join(f"WHEN {value} THEN {at}" for at, value in enumerate(values))
    return f"(CASE {expression} {cases} END)::UTINYINT"


def _switch(expression: str, cases: Mapping[int, float]) -> str:
    """Return a number by another; infinity where there is none."""
    if not cases:
        return _constant(None)
    branches = " ".join(f"WHEN {at} THEN {_constant(value)}" for at, value in cases.items())
    return f"(CASE {expression} {branches} ELSE {_constant(None)} END)"


def _constant(value: float | None) -> str:
    return "'inf'::DOUBLE" if value is None else f"{value!r}::DOUBLE"
