"""Word knowledge for grounding: opposites, synonyms, negations, contrasts and quantities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.guardrails.claims.words import stem

SECTIONS = ("opposites", "synonyms", "negations", "contrasts", "quantities")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Which words oppose each other, and which mean the same."""

    opposites: Mapping[str, frozenset[str]]
    synonyms: Mapping[str, frozenset[int]]
    negations: frozenset[str]
    contrasts: frozenset[str]
    quantities: frozenset[str]

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Self:
        """Build from lists of words; `opposites` and `synonyms` are lists of lists, as strings of words.

        Raises `ConfigurationError` naming what is missing.
        """
        missing = [name for name in SECTIONS if not isinstance(document.get(name), list)]
        if missing:
            raise ConfigurationError(f"the grounding lexicon lacks the list(s) {', '.join(missing)}")
        opposites: dict[str, set[str]] = defaultdict(set)
        for line in _lines(document["opposites"]):
            for word in line:
                opposites[word].update(other for other in line if other != word)
        synonyms: dict[str, set[int]] = defaultdict(set)
        for number, line in enumerate(_lines(document["synonyms"])):
            for word in line:
                synonyms[stem(word)].add(number)
        return cls(
            opposites={word: frozenset(others) for word, others in opposites.items()},
            synonyms={word: frozenset(groups) for word, groups in synonyms.items()},
            negations=frozenset(_words(document["negations"])),
            contrasts=frozenset(_words(document["contrasts"])),
            quantities=frozenset(_words(document["quantities"])),
        )


def _lines(value: object) -> list[list[str]]:
    return [str(line).split() for line in value] if isinstance(value, Sequence) else []


def _words(value: object) -> Iterable[str]:
    return (word for line in _lines(value) for word in line)
