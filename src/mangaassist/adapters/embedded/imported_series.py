"""Imported series, kept inside the index generation that was built with them.

So catalogue and index are published by one swap of the generation pointer: there is no moment at which the
one knows an imported series and the other does not, whatever is killed when.

    <index>/generations/<id>/imported-<hash>.jsonl
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from mangaassist.adapters.embedded.search_index.layout import IndexLayout
from mangaassist.domain.catalog import Series
from mangaassist.domain.errors import DependencyUnavailableError

_PREFIX = "imported-"
_SUFFIX = ".jsonl"
_READ_ATTEMPTS = 3


def encode_imports(series: Iterable[Series]) -> tuple[str, bytes]:
    """Return the name and the content of the file that holds `series`."""
    content = b"".join(orjson.dumps(_as_row(one)) + b"\n" for one in series)
    return f"{_PREFIX}{hashlib.sha256(content).hexdigest()[:12]}{_SUFFIX}", content


def decode_imports(content: bytes) -> list[Series]:
    """Return the series of a file written by `encode_imports`."""
    return [_from_row(orjson.loads(line)) for line in content.splitlines()]


class GenerationImports:
    """The imported series of the generation that `CURRENT` names."""

    def __init__(self, index_dir: Path) -> None:
        self._layout = IndexLayout(index_dir)
        self._known: tuple[str, str | None] | None = None

    def version(self) -> str | None:
        """Return the content hash of what is published now; None when nothing was imported."""
        generation = self._layout.current()
        if generation is None:
            return None
        known = self._known
        if known is None or known[0] != generation:
            path = self._path(generation)
            version = None if path is None else path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
            known = self._known = (generation, version)
        return known[1]

    def read(self) -> Sequence[Series]:
        """Return the published series, also when the generation changes meanwhile."""
        for _ in range(_READ_ATTEMPTS):
            generation = self._layout.current()
            path = None if generation is None else self._path(generation)
            if path is None:
                return []
            try:
                return decode_imports(path.read_bytes())
            except FileNotFoundError:
                continue  # the generation was swept after the pointer was read
            except (orjson.JSONDecodeError, KeyError, OSError) as error:
                raise DependencyUnavailableError(f"{path.name} cannot be read: {error}") from error
        raise DependencyUnavailableError("the imported series change faster than they can be read")

    def _path(self, generation: str) -> Path | None:
        return next(iter(self._layout.folder(generation).glob(f"{_PREFIX}*{_SUFFIX}")), None)


def _as_row(series: Series) -> dict[str, object]:
    return {
        "series_id": series.series_id,
        "title": series.title,
        "alt_titles": series.alt_titles,
        "authors": series.authors,
        "demographic": series.demographic,
        "genres": series.genres,
        "themes": series.themes,
        "first_year": series.first_year,
        "status": series.status,
        "volumes": series.volumes,
        "source": series.source,
    }


def _from_row(row: dict[str, Any]) -> Series:
    lists = ("alt_titles", "authors", "genres", "themes")
    return Series(**{**row, **{name: tuple(row[name]) for name in lists}})
