"""Experiment observations in a Parquet, CSV or JSONL file of any size, summed by unit in DuckDB."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from mangaassist.adapters.duckdb.layout import VIEW, Columns, Layout, literal, look, open_file, translated
from mangaassist.adapters.duckdb.unit_query import MIXED, Thresholds, UnitQuery
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Metric
from mangaassist.ports.observations import QuantileSums, TableShape, TableSums, UnitSums


class DuckDbObservationTable:
    """An `ObservationTable` over one file.

    With ten million units in 1,024 cells, the chance that any two share their hash is 0.3 %; they would
    count as one unit.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, layout: Layout, shape: TableShape) -> None:
        self._connection = connection
        self._layout = layout
        self._shape = shape

    def shape(self) -> TableShape:
        """Return what the file holds."""
        return self._shape

    def sums(
        self,
        metrics: Sequence[Metric],
        *,
        control: str,
        by_segment: bool = True,
        until: datetime | None = None,
    ) -> TableSums:
        """Return the sums, in one pass over the units overall and one by segment."""
        self._check(metrics, control)
        where, parameters = self._until(until)
        thresholds = {
            metric.name: self._thresholds(metric, control, until)
            for metric in metrics
            if metric.kind == "quantile"
        }
        passes = [False, True] if by_segment and self._shape.segments else [False]
        found: list[tuple[UnitQuery, list[tuple[Any, ...]]]] = []
        for segmented in passes:
            query = UnitQuery(
                layout=self._layout,
                shape=self._shape,
                metrics=metrics,
                thresholds=thresholds,
                segmented=segmented,
                where=where,
            )
            with translated():
                found.append((query, self._connection.execute(query.sql(), parameters).fetchall()))
        return self._assembled(found, thresholds)

    def quantile_at(self, metric: Metric, *, arm: str, levels: Sequence[float]) -> tuple[float, ...]:
        """Return sample quantiles of one arm; empty when it has no value."""
        listed = ", ".join(repr(level) for level in levels)
        with translated():
            row = self._connection.execute(
                f"SELECT quantile_disc({self._layout.values[metric.name]}, [{listed}]) FROM {VIEW}"
                f" WHERE {self._layout.arm} = {literal(arm)}"
            ).fetchone()
        return tuple(row[0]) if row is not None and row[0] is not None else ()

    def _check(self, metrics: Sequence[Metric], control: str) -> None:
        if control not in self._shape.arms:
            raise InvalidRequestError(
                f"there is no arm {control!r}; the observations have {', '.join(self._shape.arms)}",
                field="control",
            )
        for metric in metrics:
            for column in (metric.name, metric.denominator):
                if column is not None and column not in self._layout.values:
                    raise InvalidRequestError(
                        f"there is no metric {column!r}; the observations have"
                        f" {', '.join(self._layout.values)}"
                    )

    def _until(self, until: datetime | None) -> tuple[str, list[datetime]]:
        if until is None:
            return "", []
        if self._layout.at is None:
            raise InvalidRequestError("the observations have no column `at` with their time")
        return f" WHERE {self._layout.at} <= ?", [until]

    def _thresholds(self, metric: Metric, control: str, until: datetime | None) -> Thresholds:
        where, parameters = self._until(until)
        quantile = f"quantile_disc({self._layout.values[metric.name]}, {metric.quantile!r})"
        with translated():
            by_arm = self._connection.execute(
                f"SELECT {self._layout.arm}, {quantile} FROM {VIEW}{where} GROUP BY 1", parameters
            ).fetchall()
            by_segment = []
            if self._layout.segment is not None:
                by_segment = self._connection.execute(
                    f"SELECT {self._layout.segment}, {quantile} FROM {VIEW}"
                    f"{where or ' WHERE true'} AND {self._layout.arm} = {literal(control)} GROUP BY 1",
                    parameters,
                ).fetchall()
        arms = {arm: value for arm, value in by_arm if value is not None}
        return Thresholds(
            control=arms.get(control),
            by_arm=arms,
            by_segment={segment: value for segment, value in by_segment if value is not None},
        )

    def _assembled(
        self,
        found: Sequence[tuple[UnitQuery, Sequence[tuple[Any, ...]]]],
        thresholds: Mapping[str, Thresholds],
    ) -> TableSums:
        overall_query, overall = found[0]
        shape = self._shape
        means = _covariate_means(overall_query, overall)
        sums: list[UnitSums] = []
        quantiles: dict[tuple[str, str], QuantileSums] = {}
        for query, rows in found:
            for cell, arm_at, units, *values in rows:
                if arm_at == MIXED:
                    continue
                phase_at, segment_at = divmod(cell, query.segment_count)
                phase, arm = shape.phases[phase_at], shape.arms[arm_at]
                for metric, named in _by_metric(query, values):
                    sums.append(
                        _unit_sums(
                            metric.name,
                            named,
                            phase=phase,
                            arm=arm,
                            segment=shape.segments[segment_at] if query.segmented else None,
                            units=units,
                            mean=means.get((metric.name, cell), 0.0),
                        )
                    )
                    if "o" in named:
                        value = thresholds[metric.name].by_arm.get(arm, math.nan)
                        one = _quantile_sums(metric.name, named, arm=arm, units=units, value=value)
                        known = quantiles.get((metric.name, arm))
                        quantiles[metric.name, arm] = one if known is None else _added(known, one)
        return TableSums(
            units={
                (shape.phases[cell], shape.arms[arm]): units
                for cell, arm, units, *_ in overall
                if arm != MIXED
            },
            mixed_units=sum(units for _, arm, units, *_ in overall if arm == MIXED),
            sums=sums,
            quantiles=tuple(quantiles.values()),
        )


@contextmanager
def open_observations(
    path: Path, *, columns: Columns, scratch: Path, threads: int | None = None
) -> Iterator[DuckDbObservationTable]:
    """Open a file; what does not fit into memory goes to `scratch`.

    Raises `InvalidRequestError` for a file that holds no observations.
    """
    with translated():
        connection = duckdb.connect(
            config={"temp_directory": str(scratch), **({"threads": threads} if threads else {})}
        )
    try:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET TimeZone = 'UTC'")
        open_file(connection, path)
        layout, shape = look(connection, columns)
        yield DuckDbObservationTable(connection, layout, shape)
    finally:
        connection.close()


def _by_metric(query: UnitQuery, values: Sequence[float]) -> Iterator[tuple[Metric, dict[str, float]]]:
    """Yield the named sums of each metric of one row."""
    at = 0
    for metric in query.metrics:
        names = query.names(metric)
        yield metric, dict(zip(names, values[at : at + len(names)], strict=True))
        at += len(names)


def _covariate_means(query: UnitQuery, rows: Sequence[tuple[Any, ...]]) -> dict[tuple[str, int], float]:
    """Return the mean covariate of the units that have one, by metric and phase, arms together."""
    totals: dict[tuple[str, int], tuple[float, float]] = {}
    for cell, arm, _, *values in rows:
        for metric, named in _by_metric(query, values):
            if arm != MIXED and "nx" in named:
                count, total = totals.get((metric.name, cell), (0.0, 0.0))
                totals[metric.name, cell] = (count + named["nx"], total + named["x"])
    return {key: total / count for key, (count, total) in totals.items() if count}


def _unit_sums(
    metric: str,
    named: Mapping[str, float],
    *,
    phase: int,
    arm: str,
    segment: str | None,
    units: int,
    mean: float,
) -> UnitSums:
    """Return the sums with the covariate measured from its mean: units without one then add nothing."""
    known = named.get("nx", 0.0)
    return UnitSums(
        metric=metric,
        phase=phase,
        arm=arm,
        segment=segment,
        units=units,
        y=named["y"],
        k=named["k"],
        yy=named["yy"],
        kk=named["kk"],
        yk=named["yk"],
        x=named.get("x", 0.0) - known * mean,
        xx=named.get("xx", 0.0) - 2 * mean * named.get("x", 0.0) + known * mean**2,
        yx=named.get("yx", 0.0) - mean * named.get("y_known", 0.0),
        kx=named.get("kx", 0.0) - mean * named.get("k_known", 0.0),
        covariate_units=int(known),
    )


def _quantile_sums(
    metric: str, named: Mapping[str, float], *, arm: str, units: int, value: float
) -> QuantileSums:
    return QuantileSums(
        metric=metric,
        arm=arm,
        value=value,
        units=units,
        y=named["o"],
        k=named["k"],
        yy=named["oo"],
        kk=named["kk"],
        yk=named["ok"],
    )


def _added(one: QuantileSums, other: QuantileSums) -> QuantileSums:
    """Return the sums of two phases together: their units differ."""
    return QuantileSums(
        metric=one.metric,
        arm=one.arm,
        value=one.value,
        units=one.units + other.units,
        y=one.y + other.y,
        k=one.k + other.k,
        yy=one.yy + other.yy,
        kk=one.kk + other.kk,
        yk=one.yk + other.yk,
    )
