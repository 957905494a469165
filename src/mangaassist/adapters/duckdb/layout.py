"""What a file of observations holds, and where: found by looking at it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from mangaassist.domain.errors import DependencyUnavailableError, InvalidRequestError
from mangaassist.ports.observations import TableShape

MAX_SEGMENTS: Final = 64
MAX_ARMS: Final = 16
COVARIATE: Final = "pre_"
SEGMENT_COLUMNS: Final = ("intent", "segment")
VIEW: Final = "observations"

_READERS: Final = {
    ".parquet": "read_parquet({file})",
    ".csv": "read_csv({file}, sample_size = -1)",
    ".jsonl": "read_json({file}, format = 'newline_delimited', sample_size = -1)",
}
_WHOLE_NUMBERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "BOOLEAN")
_NUMBERS: Final = (*_WHOLE_NUMBERS, "FLOAT", "DOUBLE", "DECIMAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns that are no metrics."""

    unit: str = "unit"
    arm: str = "arm"
    segment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """SQL expressions: of what is no metric, of each metric's value (null where there is none).

    `complete` are the metrics with a value in every row.
    """

    unit: str
    arm: str
    phase: str | None
    at: str | None
    segment: str | None
    values: Mapping[str, str]
    covariates: Mapping[str, str]
    complete: frozenset[str]


def open_file(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make a file readable as the view of observations; raises `InvalidRequestError`."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        raise InvalidRequestError(
            f"{str(path)!r} is not a file of observations; expected an existing {', '.join(_READERS)} file"
        )
    with translated():
        connection.execute(f"CREATE VIEW {VIEW} AS SELECT * FROM {reader.format(file=literal(str(path)))}")


def look(connection: duckdb.DuckDBPyConnection, columns: Columns) -> tuple[Layout, TableShape]:
    """Return layout and shape of the view; raises `InvalidRequestError` naming what is missing."""
    with translated():
        described = connection.execute(f"DESCRIBE {VIEW}").fetchall()
        types = {str(row[0]): str(row[1]) for row in described}
        missing = [name for name in (columns.unit, columns.arm) if name not in types]
        if missing:
            raise InvalidRequestError(
                f"the observations have no column {' or '.join(map(repr, missing))}; they have"
                f" {', '.join(types)}; name yours with --unit-column and --arm-column"
            )
        segment = columns.segment or next((name for name in SEGMENT_COLUMNS if name in types), None)
        values, covariates = _metrics(connection, types, columns, segment)
        return _measured(connection, types, columns, segment, values, covariates)


def _metrics(
    connection: duckdb.DuckDBPyConnection, types: Mapping[str, str], columns: Columns, segment: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the expressions of metrics and of their covariates."""
    if "metric" in types and "value" in types:
        rows = connection.execute(f"SELECT DISTINCT metric::VARCHAR FROM {VIEW} ORDER BY 1").fetchall()
        value = number(name_of("value"), types["value"])
        named = {row[0]: f"CASE WHEN metric = {literal(row[0])} THEN {value} END" for row in rows if row[0]}
    else:
        reserved = {columns.unit, columns.arm, segment, "phase", "at"}
        rest = {column: kind for column, kind in types.items() if column not in reserved}
        empty = _without_values(connection, [name for name in rest if not rest[name].startswith(_NUMBERS)])
        named = {
            column: "NULL::DOUBLE" if column in empty else number(name_of(column), kind)
            for column, kind in rest.items()
            if column in empty or kind.startswith(_NUMBERS)
        }
    covariates = {
        column.removeprefix(COVARIATE): expression
        for column, expression in named.items()
        if column.startswith(COVARIATE) and column.removeprefix(COVARIATE) in named
    }
    values = {
        column: expression
        for column, expression in named.items()
        if not (column.startswith(COVARIATE) and column.removeprefix(COVARIATE) in covariates)
    }
    if not values:
        raise InvalidRequestError("the observations have no numeric metric column beside unit and arm")
    return values, covariates


def _without_values(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> set[str]:
    """Return the columns that are empty: a metric that nobody has yet, whose type cannot be told."""
    if not columns:
        return set()
    counts = connection.execute(
        f"SELECT {', '.join(f'count({name_of(one)})' for one in columns)} FROM {VIEW}"
    )
    row = counts.fetchone() or ()
    return {column for column, count in zip(columns, row, strict=True) if count == 0}


def _measured(
    connection: duckdb.DuckDBPyConnection,
    types: Mapping[str, str],
    columns: Columns,
    segment: str | None,
    values: Mapping[str, str],
    covariates: Mapping[str, str],
) -> tuple[Layout, TableShape]:
    """Count rows, values and distinct names."""
    at = name_of("at") if types.get("at", "").startswith(("TIMESTAMP", "DATE")) else None
    ends = f"epoch_us(min({at})), epoch_us(max({at}))" if at else "NULL, NULL"
    checks = [f"count({value}), bool_and({value} IN (0, 1))" for value in values.values()]
    row = connection.execute(f"SELECT count(*), {ends}, {', '.join(checks)} FROM {VIEW}").fetchone()
    assert row is not None, "an aggregate without groups has one row"
    rows, first_at, last_at, *found = row
    if rows == 0:
        raise InvalidRequestError("the file holds no observation")
    counts = dict(zip(values, found[::2], strict=True))
    arms = _distinct(connection, f"{name_of(columns.arm)}::VARCHAR", MAX_ARMS, "arms")
    phases = _distinct(connection, "phase::INTEGER", MAX_SEGMENTS, "phases") if "phase" in types else [1]
    segments: Sequence[Any] = ()
    if segment is not None:
        expression = segment_expression(segment)
        segments = _distinct(connection, expression, MAX_SEGMENTS, f"values of {segment!r}")
    layout = Layout(
        unit=name_of(columns.unit),
        arm=f"{name_of(columns.arm)}::VARCHAR",
        phase="phase::INTEGER" if "phase" in types else None,
        at=at,
        segment=segment_expression(segment) if segment is not None else None,
        values=values,
        covariates=covariates,
        complete=frozenset(name for name, count in counts.items() if count == rows),
    )
    shape = TableShape(
        rows=rows,
        metrics=tuple(values),
        binary=frozenset(name for name, only in zip(values, found[1::2], strict=True) if only),
        covariates={metric: COVARIATE + metric for metric in covariates},
        arms=tuple(arms),
        phases=tuple(phases),
        segments=tuple(segments),
        first_at=_moment(first_at),
        last_at=_moment(last_at),
    )
    return layout, shape


def _distinct(connection: duckdb.DuckDBPyConnection, expression: str, limit: int, what: str) -> list[Any]:
    rows = connection.execute(
        f"SELECT DISTINCT {expression} FROM {VIEW} ORDER BY 1 LIMIT {limit + 1}"
    ).fetchall()
    if len(rows) > limit:
        raise InvalidRequestError(f"there are more than {limit} {what}")
    if any(row[0] is None for row in rows):
        raise InvalidRequestError(f"some rows have no value where {what} are expected")
    return [row[0] for row in rows]


def _moment(epoch_us: int | None) -> datetime | None:
    return None if epoch_us is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=epoch_us)


def segment_expression(column: str) -> str:
    """Return the segment of a row; no value is a segment of its own."""
    return f"coalesce({name_of(column)}::VARCHAR, '')"


def number(expression: str, kind: str) -> str:
    """Return an expression as a double, null where it is not a finite number."""
    if kind.startswith(_WHOLE_NUMBERS):
        return f"{expression}::DOUBLE"
    return f"CASE WHEN isfinite({expression}::DOUBLE) THEN {expression}::DOUBLE END"


def name_of(column: str) -> str:
    """Return a quoted identifier."""
    return '"' + column.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a quoted string."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def translated() -> Iterator[None]:
    """Turn driver errors into ours."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise DependencyUnavailableError(f"DuckDB has not enough memory for this file: {error}") from error
    except duckdb.Error as error:
        raise InvalidRequestError(f"the observations cannot be read: {error}") from error
