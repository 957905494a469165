"""SQL over the copy: DuckDB in this process, reading the files and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

import duckdb
import orjson

from mangaassist.adapters.columnar.copy import FOLDERS, SCHEMAS, ColumnarCopy, Kind
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.tables import Cell, ResultTable

_KINDS: Final[tuple[Kind, ...]] = ("record", "feedback")


class DuckDbAnalytics:
    """`RecordAnalytics` over the generation that was current when it was opened; use it with `with`."""

    def __init__(self, copy: ColumnarCopy, *, threads: int = 2) -> None:
        generation = copy.generation()
        self._connection = duckdb.connect(":memory:", config={"threads": threads})
        for kind in _KINDS:
            self._add_view(kind, generation.files(kind))
        folder = str(generation.folder).replace("'", "''")
        # from here on a query can neither reach other files nor the network, nor change these settings
        self._connection.execute(f"SET allowed_directories = ['{folder}/']")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def __enter__(self) -> DuckDbAnalytics:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the engine."""
        self._connection.close()

    def run(self, sql: str, parameters: Mapping[str, Cell] | None = None) -> ResultTable:
        """Return the result of one statement."""
        try:
            result = self._connection.execute(sql, dict(parameters or {}))
            columns = tuple(column[0] for column in result.description or ())
            rows = result.fetchall()
        except duckdb.Error as error:
            raise InvalidRequestError(f"the query cannot be run: {error}", field="sql") from error
        return ResultTable(columns=columns, rows=tuple(tuple(map(_cell, row)) for row in rows))

    def _add_view(self, kind: Kind, files: list[str]) -> None:
        name = FOLDERS[kind]
        if not files:
            empty = SCHEMAS[kind].empty_table()
            self._connection.register(f"no_{name}", empty)
            self._connection.execute(
                f"CREATE VIEW {name} AS SELECT *, CAST(NULL AS DATE) AS day, 0 AS bucket FROM no_{name}"
            )
            return
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
        self._connection.execute(
            f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}],"
            " hive_partitioning = true, hive_types = {'day': DATE, 'bucket': INTEGER}, union_by_name = true)"
        )


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | int | float | bool | date | datetime):
        return value
    return orjson.dumps(value, default=str).decode()
