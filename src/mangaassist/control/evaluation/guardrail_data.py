"""Reading the JSONL files that guardrails are evaluated on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mangaassist.domain.errors import InvalidRequestError, NotFoundError


def read_rows(path: Path, fields: Mapping[str, type]) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file, each with these fields of these types.

    Raises `NotFoundError`, or `InvalidRequestError` naming the first line that cannot be used.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {str(path)!r}")
    rows = list(_rows(path, fields))
    if not rows:
        raise InvalidRequestError(f"{path.name} holds no rows")
    return rows


def _rows(path: Path, fields: Mapping[str, type]) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InvalidRequestError(f"{path.name}, line {number}: not JSON: {error}") from error
            wrong = [
                name
                for name, kind in fields.items()
                if not isinstance(row, dict) or not isinstance(row.get(name), kind)
            ]
            if wrong:
                wanted = ", ".join(f"{name} ({fields[name].__name__})" for name in wrong)
                raise InvalidRequestError(f"{path.name}, line {number}: expected {wanted}")
            yield row
