"""Authors named in a message."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mangaassist.domain.catalog import Series
from mangaassist.serving.dialogue.text import Token, Tokenizer
from mangaassist.serving.dialogue.words import EVERYDAY

_BY = frozenset(["by", "from"])
_NOT = frozenset(["isnt", "not", "no", "except", "besides", "arent", "without", "nor"])


@dataclass(frozen=True, slots=True)
class NamedAuthors:
    """Authors wanted and authors not wanted, as the catalogue spells them, and the tokens that name them."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    tokens: frozenset[int] = frozenset()


class AuthorIndex:
    """Finds authors by full name in either order, or by a family name that is no ordinary word."""

    def __init__(
        self, series: Iterable[Series], tokenizer: Tokenizer, ordinary_words: Collection[str]
    ) -> None:
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._works: dict[str, list[str]] = {}
        for one in series:
            if one.source != "pack":
                continue
            for author in one.authors:
                if author not in self._works:
                    self._learn(author, tokenizer.words(author), ordinary_words)
                self._works.setdefault(author, []).append(one.series_id)
        self._firsts = frozenset(name[0] for name in self._names)

    def works_of(self, author: str) -> tuple[str, ...]:
        """Return the series of an author."""
        return tuple(self._works.get(author, ()))

    def find(self, tokens: Sequence[Token], *, titles: Collection[int]) -> NamedAuthors:
        """Return the authors named outside titles."""
        wanted: list[str] = []
        unwanted: list[str] = []
        used: set[int] = set()
        index = 0
        while index < len(tokens):
            length = 1
            if tokens[index].norm in self._firsts:
                for length in (3, 2, 1):
                    places = range(index, index + length)
                    authors = self._names.get(
                        tuple(token.norm for token in tokens[index : index + length]), ()
                    )
                    before = tokens[index - 1].norm if index else ""
                    if (
                        not authors
                        or any(place in titles for place in places)
                        or (len(authors) > 1 and before not in _BY)
                    ):
                        continue
                    (unwanted if before in _NOT else wanted).extend(authors)
                    used.update(places)
                    break
            index += length
        return NamedAuthors(tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(unwanted)), frozenset(used))

    def _learn(self, author: str, words: tuple[str, ...], ordinary_words: Collection[str]) -> None:
        keys = {words, words[::-1]}
        family = words[-1] if words else ""
        usual = family in EVERYDAY or family in ordinary_words
        if (len(words) == 1 and usual) or not words:
            return
        if len(family) >= 3 and not usual:
            keys.add((family,))
        for key in keys:
            self._names[key] = (*self._names.get(key, ()), author)
