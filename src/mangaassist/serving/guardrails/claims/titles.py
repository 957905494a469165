"""Which series and products a text names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mangaassist.domain.catalog import Product, Series
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.claims.knowledge import KnownSeries, Topic

_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Mention:
    """Something named at a place: a series (by its own title or by a product's), or an order or promotion."""

    start: int
    end: int
    series: KnownSeries | None = None
    product: Product | None = None
    edition: bool = False
    topic: Topic | None = None


def mentions_of(text: str, known: Iterable[KnownSeries], topics: Iterable[Topic] = ()) -> list[Mention]:
    """Return where known things are named; the longest name wins an overlap."""
    lowered = text.casefold()
    names: list[tuple[str, int, Mention]] = []
    for item in known:
        titles = (item.series.title, *item.series.alt_titles)
        # of equal names the series comes first, then the product, then the edition
        names += [(title, 0, Mention(0, 0, item)) for title in titles]
        names += [(product.title, 1, Mention(0, 0, item, product)) for product in item.products]
        names += [(edition.name, 2, Mention(0, 0, item, edition=True)) for edition in item.series.editions]
    names += [(name, 3, Mention(0, 0, topic=topic)) for topic in topics for name in topic.names]
    names.sort(key=lambda name: (-len(name[0]), name[1]))
    found: list[Mention] = []
    for name, _, mention in names:
        title = name.casefold()
        start = lowered.find(title) if title else -1
        while start >= 0:
            end = start + len(title)
            if _stands_alone(lowered, start, end) and all(
                end <= one.start or one.end <= start for one in found
            ):
                found.append(replace(mention, start=start, end=end))
            start = lowered.find(title, end)
    return sorted(found, key=lambda mention: mention.start)


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (before.isalnum() and text[start].isalnum()) and not (
        after.isalnum() and text[end - 1].isalnum()
    )


class TitleIndex:
    """Finds series of the whole catalogue in a text, by titles of two words or more."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._built_for: Sequence[Series] | None = None
        self._by_start: dict[str, list[tuple[str, Series]]] = {}

    def find(self, text: str) -> list[Series]:
        """Return the series named; a title of one word is a word like any other and is not looked for."""
        self._build()
        lowered = text.casefold()
        found: dict[str, Series] = {}
        for match in _WORD.finditer(lowered):
            for title, series in self._by_start.get(match.group(), ()):
                if lowered.startswith(title, match.start()):
                    found.setdefault(series.series_id, series)
        return list(found.values())

    def _build(self) -> None:
        shelf = self._catalog.all_series()
        if shelf is self._built_for:
            return
        by_start: dict[str, list[tuple[str, Series]]] = defaultdict(list)
        for series in shelf:
            title = series.title.casefold()
            words = _WORD.findall(title)
            if len(words) > 1 and title.startswith(words[0]):
                by_start[words[0]].append((title, series))
        self._by_start, self._built_for = dict(by_start), shelf
