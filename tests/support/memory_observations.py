"""Observations in memory, summed with plain Python: the yardstick of the real table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Metric
from mangaassist.ports.observations import QuantileSums, TableShape, TableSums, UnitSums

Row = Mapping[str, object]
Cells = defaultdict[tuple[int, str], defaultdict[object, list[Row]]]
RESERVED = ("unit", "arm", "phase", "at", "intent")


class InMemoryObservationTable:
    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = list(rows)

    def shape(self) -> TableShape:
        columns = [name for name in self._rows[0] if name not in RESERVED and not name.startswith("pre_")]
        moments = [at for row in self._rows if isinstance(at := row.get("at"), datetime)]
        return TableShape(
            rows=len(self._rows),
            metrics=tuple(columns),
            binary=frozenset(
                name
                for name in columns
                if (known := [value for row in self._rows if (value := _number(row, name)) is not None])
                and set(known) <= {0.0, 1.0}
            ),
            covariates={name: f"pre_{name}" for name in columns if f"pre_{name}" in self._rows[0]},
            arms=tuple(sorted({str(row["arm"]) for row in self._rows})),
            phases=tuple(sorted({_phase(row) for row in self._rows})),
            segments=tuple(sorted({str(row["intent"]) for row in self._rows if "intent" in row})),
            first_at=min(moments, default=None),
            last_at=max(moments, default=None),
        )

    def sums(
        self,
        metrics: Sequence[Metric],
        *,
        control: str,
        by_segment: bool = True,
        until: datetime | None = None,
    ) -> TableSums:
        rows = [row for row in self._rows if until is None or row["at"] <= until]  # type: ignore[operator]
        shape = self.shape()
        if control not in shape.arms:
            raise InvalidRequestError(f"there is no arm {control!r}")
        arms_of = defaultdict(set)
        for row in rows:
            arms_of[row["unit"], _phase(row)].add(str(row["arm"]))
        mixed = {key for key, arms in arms_of.items() if len(arms) > 1}
        kept = [row for row in rows if (row["unit"], _phase(row)) not in mixed]
        sums: list[UnitSums] = []
        quantiles: list[QuantileSums] = []
        for metric in metrics:
            limits = self._limits(metric, rows, control)
            for segment in (None, *shape.segments) if by_segment else (None,):
                cells: Cells = defaultdict(lambda: defaultdict(list))
                for row in kept if segment is None else rows:
                    if segment is None or str(row["intent"]) == segment:
                        cells[_phase(row), str(row["arm"])][row["unit"]].append(row)
                if segment is not None:
                    _drop_mixed(cells)
                sums += [
                    self._cell(metric, phase, arm, segment, members, cells, limits)
                    for (phase, arm), members in cells.items()
                ]
            if metric.kind == "quantile":
                quantiles += self._quantile_sums(metric, kept, rows)
        units: dict[tuple[int, str], int] = defaultdict(int)
        for (_, phase), arms in arms_of.items():
            if len(arms) == 1:
                units[phase, next(iter(arms))] += 1
        return TableSums(units=units, mixed_units=len(mixed), sums=sums, quantiles=quantiles)

    def quantile_at(self, metric: Metric, *, arm: str, levels: Sequence[float]) -> tuple[float, ...]:
        values = _values([row for row in self._rows if row["arm"] == arm], metric.name)
        return tuple(_quantile(values, level) for level in levels)

    def _limits(self, metric: Metric, rows: Sequence[Row], control: str) -> dict[str | None, float]:
        if metric.kind != "quantile":
            return {}
        here = [row for row in rows if row["arm"] == control]
        limits: dict[str | None, float] = {None: _quantile(_values(here, metric.name), metric.quantile)}
        for segment in {str(row["intent"]) for row in here if "intent" in row}:
            values = _values([row for row in here if str(row["intent"]) == segment], metric.name)
            if values:
                limits[segment] = _quantile(values, metric.quantile)
        return limits

    def _cell(
        self,
        metric: Metric,
        phase: int,
        arm: str,
        segment: str | None,
        units: Mapping[object, Sequence[Row]],
        cells: Cells,
        limits: Mapping[str | None, float],
    ) -> UnitSums:
        covariate = segment is None and metric.kind != "quantile" and f"pre_{metric.name}" in self._rows[0]
        everyone = [
            x
            for (of_phase, _), members in cells.items()
            if of_phase == phase
            for rows in members.values()
            if (x := _pre(rows, metric.name)) is not None
        ]
        mean = math.fsum(everyone) / len(everyone) if everyone and covariate else 0.0
        triples = []
        known = 0
        for rows in units.values():
            y, k = _unit(metric, rows, limits.get(segment, math.inf))
            x = _pre(rows, metric.name) if covariate else None
            known += x is not None
            triples.append((y, k, 0.0 if x is None else x - mean))
        return UnitSums(
            metric=metric.name,
            phase=phase,
            arm=arm,
            segment=segment,
            units=len(triples),
            y=math.fsum(y for y, _, _ in triples),
            k=math.fsum(k for _, k, _ in triples),
            x=math.fsum(x for _, _, x in triples),
            yy=math.fsum(y * y for y, _, _ in triples),
            kk=math.fsum(k * k for _, k, _ in triples),
            xx=math.fsum(x * x for _, _, x in triples),
            yk=math.fsum(y * k for y, k, _ in triples),
            yx=math.fsum(y * x for y, _, x in triples),
            kx=math.fsum(k * x for _, k, x in triples),
            covariate_units=known,
        )

    def _quantile_sums(self, metric: Metric, kept: Sequence[Row], rows: Sequence[Row]) -> list[QuantileSums]:
        found = []
        for arm in self.shape().arms:
            value = _quantile(
                _values([row for row in rows if row["arm"] == arm], metric.name), metric.quantile
            )
            units = defaultdict(list)
            for row in kept:
                if row["arm"] == arm:
                    units[row["unit"], _phase(row)].append(row)
            pairs = [_unit(metric, members, value) for members in units.values()]
            found.append(
                QuantileSums(
                    metric=metric.name,
                    arm=arm,
                    value=value,
                    units=len(pairs),
                    y=sum(y for y, _ in pairs),
                    k=sum(k for _, k in pairs),
                    yy=sum(y * y for y, _ in pairs),
                    kk=sum(k * k for _, k in pairs),
                    yk=sum(y * k for y, k in pairs),
                )
            )
        return found


def _drop_mixed(cells: Cells) -> None:
    """Leave units out that were seen in several arms of a phase in this segment."""
    arms_of = defaultdict(set)
    for (phase, arm), units in cells.items():
        for unit in units:
            arms_of[phase, unit].add(arm)
    for (phase, _), units in cells.items():
        for unit in [unit for unit in units if len(arms_of[phase, unit]) > 1]:
            del units[unit]


def _unit(metric: Metric, rows: Sequence[Row], limit: float) -> tuple[float, float]:
    pairs = []
    for row in rows:
        value = _number(row, metric.name)
        of = 1.0 if metric.denominator is None else _number(row, metric.denominator)
        if value is not None and of is not None:
            pairs.append((float(value > limit) if metric.kind == "quantile" else value, of))
    if not pairs and metric.absent is not None:
        return metric.absent, 1.0
    return math.fsum(value for value, _ in pairs), math.fsum(of for _, of in pairs)


def _pre(rows: Sequence[Row], metric: str) -> float | None:
    known = [value for row in rows if (value := _number(row, f"pre_{metric}")) is not None]
    return max(known, default=None)


def _number(row: Row, name: str) -> float | None:
    value = row.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return sorted(value for row in rows if (value := _number(row, name)) is not None)


def _quantile(ordered: Sequence[float], level: float) -> float:
    """The smallest value with at least this share at or below it."""
    return ordered[max(0, math.ceil(len(ordered) * level - 1e-9) - 1)]


def _phase(row: Row) -> int:
    phase = row.get("phase", 1)
    return int(phase) if isinstance(phase, int) else 1
