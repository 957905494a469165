"""Rows of an outside catalogue: what they must look like, and the series they become.

The form is that of a MyAnimeList listing: id, title, title_en, type, authors ("Family, Given"), genres,
demographic, status, volumes, year; further fields are ignored. Nothing is filled in: what a row does not say
stays None, and a description is never made up.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from mangaassist.domain.catalog import Demographic, Series, SeriesStatus
from mangaassist.domain.store_rows import FIRST_YEAR_RANGE, FieldRule, Row, Rules

STATUSES: Mapping[str, SeriesStatus | None] = MappingProxyType(
    {
        "publishing": "ongoing",
        "ongoing": "ongoing",
        "finished": "finished",
        "on hiatus": "hiatus",
        "hiatus": "hiatus",
        "discontinued": "cancelled",
        "cancelled": "cancelled",
        "not yet published": None,
    }
)
DEMOGRAPHICS: Mapping[str, Demographic] = MappingProxyType(
    {"shounen": "shounen", "seinen": "seinen", "shoujo": "shoujo", "josei": "josei", "kids": "kids"}
)
OTHER_WORK_TYPES = frozenset({"light novel", "novel", "one-shot", "doujinshi"})
"""Types that are other works than the manga of the same title: the novel it adapts, its pilot, fan work."""

_PLAIN_TYPE = "manga"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONG_VOWEL = re.compile(r"(?<=o)[uho]|(?<=u)u")
_YEAR_TOLERANCE = 1


def _is_line(value: Any) -> bool:
    return type(value) is str and value.strip() != "" and len(value) <= 500 and not _CONTROL.search(value)


def _is_line_or_null(value: Any) -> bool:
    return value is None or _is_line(value)


def _is_lines(value: Any) -> bool:
    return type(value) is list and all(map(_is_line, value))


def _known(names: Mapping[str, object]) -> FieldRule:
    return FieldRule(
        lambda value: value is None or (type(value) is str and value.strip().lower() in names),
        f"one of {', '.join(names)} (in any case) or null",
    )


def _whole_number(low: int, high: int, what: str) -> FieldRule:
    return FieldRule(
        lambda value: value is None or (type(value) is int and low <= value <= high),
        f"{what} from {low} to {high} or null",
    )


IMPORT_RULES: Rules = MappingProxyType(
    {
        "id": FieldRule(
            lambda value: type(value) is str and _ID.fullmatch(value) is not None,
            "an id of letters, digits, dots, hyphens and underscores",
        ),
        "title": FieldRule(_is_line, "a title on one line"),
        "title_en": FieldRule(_is_line_or_null, "a title on one line or null", required=False),
        "type": FieldRule(_is_line_or_null, "a word or null", required=False),
        "authors": FieldRule(_is_lines, "a list of names, 'Family, Given'"),
        "genres": FieldRule(_is_lines, "a list of genres"),
        "demographic": _known(DEMOGRAPHICS),
        "status": _known(STATUSES),
        "volumes": _whole_number(1, 5_000, "a number"),
        "year": _whole_number(*FIRST_YEAR_RANGE, "a year"),
    }
)


def series_from_import(row: Row, *, source: str) -> Series:
    """Build the series of a row that `check_row` found without fault; `source` is 'import:<name>'."""
    title = " ".join((row.get("title_en") or row["title"]).split())
    other = " ".join(row["title"].split())
    kind = (row.get("type") or _PLAIN_TYPE).strip().lower()
    status = None if row["status"] is None else STATUSES[row["status"].strip().lower()]
    demographic = None if row["demographic"] is None else DEMOGRAPHICS[row["demographic"].strip().lower()]
    return Series(
        series_id=row["id"],
        title=title,
        alt_titles=() if other == title else (other,),
        authors=_distinct(given_family(author) for author in row["authors"]),
        demographic=demographic,
        genres=_distinct(" ".join(genre.lower().split()) for genre in row["genres"]),
        themes=() if kind == _PLAIN_TYPE else (kind,),
        first_year=row["year"],
        status=status,
        volumes=row["volumes"] if status in ("finished", "cancelled") else None,
        source=source,
    )


def given_family(name: str) -> str:
    """Turn 'Miura, Kentarou' into 'Kentarou Miura'; a name without a comma stays as it is."""
    family, comma, given = name.partition(",")
    return " ".join(f"{given} {family}".split()) if comma and given.strip() else " ".join(name.split())


def normalised_title(title: str) -> str:
    """Letters and digits only, without case, accents or spaces: equal for spellings of one title."""
    decomposed = unicodedata.normalize("NFKD", title.casefold())
    return "".join(letter for letter in decomposed if letter.isalnum())


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedCatalog:
    """The pack's series first, then the imported ones that are new; `same_as` maps the others to theirs."""

    series: tuple[Series, ...]
    same_as: Mapping[str, str]


def merge_imports(pack: Sequence[Series], imported: Iterable[Series]) -> MergedCatalog:
    """Add imported series to those of the pack; one that the pack has only lends it its other titles.

    The same series means: the same normalised title and year, or the year before or after with a common
    author; where several rows claim one series, those with a common author have it. The pack's facts hold,
    since they were checked one by one.
    """
    known_ids = {series.series_id: series for series in pack}
    by_title = _by_title(pack)
    claims: dict[str, list[Series]] = defaultdict(list)
    rows = tuple(imported)
    for row in rows:
        twin = known_ids.get(row.series_id) or _twin(row, by_title)
        if twin is not None:
            claims[twin.series_id].append(row)
    same_as = {
        row.series_id: series_id
        for series_id, claimants in claims.items()
        for row in _rightful(known_ids[series_id], claimants)
    }
    lent: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.series_id in same_as:
            lent[same_as[row.series_id]].extend((row.title, *row.alt_titles))
    merged = (
        _with_titles(series, lent[series.series_id]) if series.series_id in lent else series
        for series in pack
    )
    added = (row for row in rows if row.series_id not in same_as)
    return MergedCatalog(series=(*merged, *added), same_as=MappingProxyType(same_as))


def _by_title(pack: Sequence[Series]) -> Mapping[str, Sequence[Series]]:
    found: dict[str, list[Series]] = defaultdict(list)
    for series in pack:
        for key in {normalised_title(title) for title in (series.title, *series.alt_titles)}:
            found[key].append(series)
    return found


def _twin(row: Series, by_title: Mapping[str, Sequence[Series]]) -> Series | None:
    if OTHER_WORK_TYPES.intersection(row.themes):
        return None
    for title in (row.title, *row.alt_titles):
        for candidate in by_title.get(normalised_title(title), ()):
            if _same_work(row, candidate):
                return candidate
    return None


def _same_work(one: Series, other: Series) -> bool:
    if one.first_year is None or other.first_year is None:
        return False
    if one.first_year == other.first_year:
        return True
    return abs(one.first_year - other.first_year) <= _YEAR_TOLERANCE and _share_author(one, other)


def _rightful(series: Series, claimants: Sequence[Series]) -> Sequence[Series]:
    kin = [row for row in claimants if row.series_id == series.series_id or _share_author(row, series)]
    return kin or claimants


def _share_author(one: Series, other: Series) -> bool:
    return not _author_keys(one).isdisjoint(_author_keys(other))


def _author_keys(series: Series) -> set[str]:
    """Names without the order of their words and without marks of long vowels (Kentaro, Kentarou)."""
    return {
        _LONG_VOWEL.sub("", normalised_title("".join(sorted(author.lower().split()))))
        for author in series.authors
    }


def _with_titles(series: Series, titles: Iterable[str]) -> Series:
    known = {normalised_title(title) for title in (series.title, *series.alt_titles)}
    new = []
    for title in titles:
        key = normalised_title(title)
        if key not in known:
            known.add(key)
            new.append(title)
    return replace(series, alt_titles=(*series.alt_titles, *new)) if new else series


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
