"""The pack's series as bit sets by attribute: constraints become a few integer operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mangaassist.domain.catalog import Series
from mangaassist.domain.dialogue import Constraints

ADULT: Final = 18


class TasteIndex:
    """Answers which series meet constraints; immutable. A set of series is an integer, bit i for series i.

    An unknown fact never meets a constraint: a series without a rating is not for a child, one without a
    year is of no decade.
    """

    def __init__(self, series: Sequence[Series]) -> None:
        self.series = tuple(series)
        self.position = {one.series_id: place for place, one in enumerate(self.series)}
        self.everything = (1 << len(self.series)) - 1
        self._by_value: dict[tuple[str, str], int] = {}
        self._theme_words: dict[str, int] = {}
        self._named_by: dict[str, int] = {}
        # only a known total counts as length: an ongoing series is never promised to be short
        self._by_number: dict[str, dict[int, int]] = {"min_age": {}, "volumes": {}, "first_year": {}}
        for place, one in enumerate(self.series):
            bit = 1 << place
            for name, groups in self._by_number.items():
                number = getattr(one, name)
                if number is not None:
                    groups[number] = groups.get(number, 0) | bit
            for field, values in _values(one):
                for value in values:
                    self._by_value[field, value] = self._by_value.get((field, value), 0) | bit
            for other in one.similar:
                self._named_by[other] = self._named_by.get(other, 0) | bit
            for theme in one.themes:
                for word in theme_words(theme):
                    self._theme_words[word] = self._theme_words.get(word, 0) | bit

    def naming_similar(self, series_id: str) -> int:
        """Return the series that name this one as similar; many do so for a touchstone of its kind."""
        return self._named_by.get(series_id, 0)

    def having(self, field: str, value: str) -> int:
        """Return the series with a value: field is genre, mood, author, demographic, status or anime."""
        return self._by_value.get((field, value), 0)

    def with_theme(self, theme: str) -> int:
        """Return the series with the theme or one that holds its words: "vampires" finds "vampire hunt"."""
        bits = self.everything
        for word in theme_words(theme):
            bits &= self._theme_words.get(word, 0)
        return bits

    def of(self, series_ids: Iterable[str]) -> int:
        """Return the set of the series named."""
        bits = 0
        for series_id in series_ids:
            place = self.position.get(series_id)
            if place is not None:
                bits |= 1 << place
        return bits

    def never_broken(self, constraints: Constraints, *, adult_allowed: bool) -> int:
        """Return the series that keep what is never relaxed: the reader's age, exclusions, titles refused."""
        bits = self.everything & ~self.of((*constraints.not_series, *constraints.like_series))
        for field, values in (
            ("genre", constraints.exclude_genres),
            ("theme", constraints.exclude_themes),
            ("mood", constraints.exclude_moods),
        ):
            for value in values:
                bits &= ~self._by_value.get((field, value), 0)
        age = constraints.reader_age
        if age is not None and age < ADULT:
            return bits & self._within("min_age", None, age)
        return bits if adult_allowed else bits & ~self._within("min_age", ADULT, None)

    def meeting(self, name: str, constraints: Constraints) -> int:
        """Return the series that meet one relaxable constraint, `everything` when it is not set."""
        bits = self.everything
        if name == "moods":
            return self._any("mood", constraints.moods)
        if name == "themes":
            found = 0
            for theme in constraints.themes:
                found |= self.with_theme(theme)
            return found if constraints.themes else bits
        if name == "genres":
            for genre in constraints.genres:
                bits &= self.having("genre", genre)
            return bits
        if name == "authors":
            return self._any("author", constraints.authors)
        if name in ("demographic", "status"):
            value = getattr(constraints, name)
            return bits if value is None else self.having(name, value)
        if name == "anime":
            return bits if constraints.anime is None else self.having("anime", str(constraints.anime))
        if name == "volumes":
            return self._within("volumes", constraints.min_volumes, constraints.max_volumes)
        return self._within("first_year", constraints.year_from, constraints.year_to)

    def _any(self, field: str, values: Sequence[str]) -> int:
        bits = 0
        for value in values:
            bits |= self.having(field, value)
        return bits if values else self.everything

    def _within(self, field: str, low: int | None, high: int | None) -> int:
        if low is None and high is None:
            return self.everything
        bits = 0
        for value, having in self._by_number[field].items():
            if (low is None or value >= low) and (high is None or value <= high):
                bits |= having
        return bits


def places_of(bits: int) -> Iterator[int]:
    """Yield the places of the series of a set, in catalogue order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def theme_words(theme: str) -> tuple[str, ...]:
    """Return the words of a theme in the singular."""
    return tuple(
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in theme.casefold().replace("-", " ").split()
    )


def _values(series: Series) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "genre", series.genres
    yield "theme", series.themes
    yield "mood", series.moods
    yield "author", series.authors
    for field, value in (("demographic", series.demographic), ("status", series.status)):
        yield field, (value,) if value is not None else ()
    yield "anime", (str(series.anime),) if series.anime is not None else ()
