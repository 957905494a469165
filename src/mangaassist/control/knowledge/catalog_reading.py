"""An outside catalogue read line by line; a row that cannot be used is named and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from mangaassist.domain.catalog import Series
from mangaassist.domain.catalog_import import IMPORT_RULES, series_from_import
from mangaassist.domain.store_rows import check_row

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Why one line was left out; `field` is None when the line is no JSON object at all."""

    line: int
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogReading:
    """What a file holds: its usable series, one for each id, and every fault."""

    series: tuple[Series, ...]
    row_count: int
    repeated_count: int
    faults: tuple[RowFault, ...]

    @property
    def malformed_count(self) -> int:
        """Number of lines that were left out."""
        return len({fault.line for fault in self.faults})


def read_catalog(
    lines: Iterable[bytes],
    *,
    source: str,
    reserved_ids: frozenset[str] = frozenset(),
    on_bytes: Callable[[int], None] = lambda count: None,
) -> CatalogReading:
    """Read every line. Of rows with the same id the last one holds; `reserved_ids` belong to the pack."""
    series: dict[str, Series] = {}
    faults: list[RowFault] = []
    row_count = repeated_count = 0
    for number, line in enumerate(lines, start=1):
        on_bytes(len(line))
        text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if not text.strip():
            continue
        row_count += 1
        read = _read_row(text, number=number, source=source)
        if isinstance(read, Series):
            if read.series_id in reserved_ids:
                faults.append(
                    RowFault(line=number, field="id", message=f"{read.series_id!r} is a series of the store")
                )
                continue
            repeated_count += read.series_id in series
            series[read.series_id] = read
        else:
            faults.extend(read)
    return CatalogReading(
        series=tuple(series.values()),
        row_count=row_count,
        repeated_count=repeated_count,
        faults=tuple(faults),
    )


def _read_row(line: bytes, *, number: int, source: str) -> Series | Sequence[RowFault]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return [RowFault(line=number, message=f"expected one JSON object a line: {error}")]
    if not isinstance(row, dict):
        return [RowFault(line=number, message=f"expected a JSON object, got a {type(row).__name__}")]
    faults = check_row(row, IMPORT_RULES, allow_unknown=True)
    if faults:
        return [RowFault(line=number, field=fault.field, message=fault.message) for fault in faults]
    return series_from_import(row, source=source)
