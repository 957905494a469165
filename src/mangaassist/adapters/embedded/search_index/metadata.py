"""Filterable fields as columns: a filter becomes a boolean mask over the rows of a generation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.retrieval import Filter

Mask = NDArray[np.bool_]
Value = str | float
_VALUES = "metadata.json"
_ROWS = "metadata_rows.npy"
_NUMBERS = "metadata_numbers.npy"
_LARGEST_EXACT = 2**53


def canonical(value: object, *, field: str) -> Value:
    """Return the value as it is compared: text, or a number (truth values are 0 and 1)."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        if not math.isfinite(value) or (isinstance(value, int) and abs(value) > _LARGEST_EXACT):
            raise InvalidRequestError(f"field {field!r}: {value!r} is not an exactly comparable number")
        return float(value)
    raise InvalidRequestError(f"field {field!r}: expected text, a number or a truth value, got {value!r}")


class MetadataWriter:
    """Collects the fields of chunks in the order they are added."""

    def __init__(self) -> None:
        self._rows_of: dict[str, dict[Value, list[int]]] = {}
        self._numbers: dict[str, dict[int, float]] = {}
        self._count = 0

    def add(self, metadata: Mapping[str, object]) -> None:
        """Add the next chunk's fields, or raise and add nothing."""
        fields = {
            name: tuple(canonical(one, field=name) for one in value)
            if isinstance(value, (tuple, list))
            else (canonical(value, field=name),)
            for name, value in metadata.items()
        }
        for name, values in fields.items():
            rows_of = self._rows_of.setdefault(name, {})
            for value in dict.fromkeys(values):
                rows_of.setdefault(value, []).append(self._count)
            if not isinstance(metadata[name], (tuple, list)) and isinstance(values[0], float):
                self._numbers.setdefault(name, {})[self._count] = values[0]
        self._count += 1

    def write(self, folder: Path, *, row_of: NDArray[np.int32]) -> None:
        """Write the columns; `row_of[n]` is the final row of the n-th chunk added."""
        fields, rows = {}, []
        position = 0
        for name, rows_of in self._rows_of.items():
            starts = [position]
            for added in rows_of.values():
                rows.append(np.sort(row_of[added]))
                position += len(added)
                starts.append(position)
            fields[name] = {"values": list(rows_of), "starts": starts}
        numbers = np.full((len(self._numbers), self._count), np.nan)
        for line, column in enumerate(self._numbers.values()):
            numbers[line, row_of[list(column)]] = list(column.values())
        document = {"fields": fields, "numbers": list(self._numbers)}
        (folder / _VALUES).write_bytes(orjson.dumps(document))
        np.save(folder / _ROWS, np.concatenate(rows) if rows else np.empty(0, dtype=np.int32))
        np.save(folder / _NUMBERS, numbers)


class MetadataColumns:
    """Answers filters exactly."""

    def __init__(self, folder: Path, *, count: int) -> None:
        document = orjson.loads((folder / _VALUES).read_bytes())
        self._count = count
        self._rows: NDArray[np.int32] = np.load(folder / _ROWS)
        self._numbers = dict(zip(document["numbers"], np.load(folder / _NUMBERS), strict=True))
        self._spans: dict[str, dict[Value, tuple[int, int]]] = {
            name: {
                value: (start, end)
                for value, start, end in zip(
                    column["values"], column["starts"], column["starts"][1:], strict=False
                )
            }
            for name, column in document["fields"].items()
        }

    def mask(self, filters: Sequence[Filter]) -> Mask:
        """Return which rows satisfy every filter."""
        matching = np.ones(self._count, dtype=np.bool_)
        for one in filters:
            matching &= self._mask_of(one)
        return matching

    def _mask_of(self, condition: Filter) -> Mask:
        if condition.op in ("in", "not_in"):
            found = np.zeros(self._count, dtype=np.bool_)
            spans = self._spans.get(condition.field, {})
            for value in condition.values:
                start, end = spans.get(canonical(value, field=condition.field), (0, 0))
                found[self._rows[start:end]] = True
            return found if condition.op == "in" else ~found
        bound = canonical(condition.values[0], field=condition.field) if condition.values else None
        if not isinstance(bound, float):
            raise InvalidRequestError(
                f"filter {condition.op!r} on {condition.field!r} needs a number, got {condition.values!r}"
            )
        column = self._numbers.get(condition.field)
        if column is None:
            return np.zeros(self._count, dtype=np.bool_)
        # a missing number is NaN, and NaN compares false
        within: Mask = column <= bound if condition.op == "lte" else column >= bound
        return within
