"""Given and family names of our own compiling, and the names of the catalogue that are not persons."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

_FOLDED = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ł": "l",
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ð": "d",
        "ı": "i",
        "\ufeff": "",
    }
)


def fold(text: str) -> str:
    """Return lower case without diacritics, as the lists are written."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    parts = unicodedata.normalize("NFKD", lowered.translate(_FOLDED))
    return "".join(character for character in parts if not unicodedata.combining(character))


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLists:
    """Folded words: names, given names that are also other words, and words that are no names.

    `organisations` stand in or behind names of companies and things, `places` before names of places.
    """

    given: frozenset[str]
    family: frozenset[str]
    ambiguous: frozenset[str]
    stop: frozenset[str]
    organisations: frozenset[str]
    places: frozenset[str]


def load_name_lists() -> NameLists:
    """Read the lists that come with the package."""
    package = files("mangaassist.serving.guardrails.personal_data")

    def words(name: str) -> frozenset[str]:
        return frozenset(fold((package / name).read_text(encoding="utf-8")).split())

    return NameLists(
        given=words("given_names.txt"),
        family=words("family_names.txt"),
        ambiguous=words("ambiguous_given_names.txt"),
        stop=words("stop_words.txt"),
        organisations=words("organisation_words.txt"),
        places=words("place_words.txt"),
    )


class CatalogueNames:
    """Titles, authors and characters: what stands within one of them in a text is not a person."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {" ".join(fold(name).split()) for name in names} - {""}

    def covers(self, text: str, start: int, end: int) -> bool:
        """Whether what stands at these offsets is a catalogue name or belongs to one in the text."""
        candidate = " ".join(fold(text[start:end]).split())
        if candidate in self._names:
            return True
        by_word = self._by_word
        names = {name for word in _words(candidate) for name in by_word.get(word, ())}
        if not names:
            return False
        around = f" {_plain(fold(text[max(0, start - 80) : end + 80]))} "
        return any(f" {_plain(name)} " in around for name in names if _shares(candidate, name))

    @cached_property
    def _by_word(self) -> dict[str, tuple[str, ...]]:
        index: dict[str, list[str]] = {}
        for name in self._names:
            for word in set(_words(name)):
                index.setdefault(word, []).append(name)
        return {word: tuple(names) for word, names in index.items()}


def _words(text: str) -> list[str]:
    return _plain(text).split()


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text).split())


def _shares(candidate: str, name: str) -> bool:
    """Whether a name holds the candidate, or one of several words stands in it (not Emma in Emma Stone)."""
    one, other = f" {_plain(candidate)} ", f" {_plain(name)} "
    return one in other or (" " in name and other in one)
