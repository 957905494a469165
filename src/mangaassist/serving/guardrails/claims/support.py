"""How far a text is supported by source texts: the features of the grounding model, and the evidence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Final

from mangaassist.serving.guardrails.claims.lexicon import Lexicon
from mangaassist.serving.guardrails.claims.sentences import sentence_spans
from mangaassist.serving.guardrails.claims.words import STOP_WORDS, number_of, placed_tokens, stem

FEATURES: Final = (
    "unknown_number", "unknown_digits", "number_of_other_kind", "number_elsewhere", "unknown_code",
    "unknown_name", "unsupported_negation", "opposite", "opposite_beside", "negating_prefix", "contrast",
    "quantity", "unsupported_ratio", "unsupported_no_synonym_ratio", "unsupported_beginning_ratio",
    "synonyms", "unsupported_words", "new_bigram_ratio", "new_trigram_ratio", "least_covered", "mean_covered",
    "mixed_pair_ratio", "substitutions",
)  # fmt: skip

_NEAR: Final = 4
_PREFIXES: Final = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "anti", "out", "over", "under", "de")
_CODE: Final = re.compile(r"[a-z]+\d[a-z0-9]*|\d+[a-z][a-z0-9]*")
_PERCENT: Final = frozenset({"percent", "per"})
_BEGINNING: Final = 5


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence of a source with the stems of its content words."""

    text: str
    source_id: str
    stems: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsOf:
    """Everything about the words of one text that support is told by."""

    tokens: tuple[str, ...]
    lowered: tuple[str, ...]
    stems: tuple[str, ...]
    content: tuple[int, ...]
    words: frozenset[str]
    positions: Mapping[str, Sequence[int]]
    numbers: frozenset[float]
    percents: frozenset[float]
    dollars: frozenset[float]
    near_number: frozenset[tuple[float, str]]
    bigrams: frozenset[tuple[str, str]]
    trigrams: frozenset[tuple[str, str, str]]
    negated: frozenset[str]
    codes: frozenset[str]
    sentences: tuple[tuple[int, int, frozenset[str]], ...]


def words_of(text: str, negations: frozenset[str]) -> WordsOf:
    """Read one text."""
    placed = placed_tokens(text)
    found = [token for _, token in placed]
    lowered = [token.lower() for token in found]
    stems = [stem(token) for token in found]
    content = tuple(place for place, low in enumerate(lowered) if low not in STOP_WORDS)
    numbers = [(place, value) for place, token in enumerate(found) if (value := number_of(token)) is not None]
    positions: dict[str, list[int]] = {}
    for place, own in enumerate(stems):
        positions.setdefault(own, []).append(place)
    negated = {
        near
        for place, low in enumerate(lowered)
        if low in negations or low.endswith("n't")
        for near in stems[place + 1 : place + 7]
    }
    return WordsOf(
        tokens=tuple(found),
        lowered=tuple(lowered),
        stems=tuple(stems),
        content=content,
        words=frozenset(lowered),
        positions=positions,
        numbers=frozenset(value for _, value in numbers),
        percents=frozenset(value for place, value in numbers if _is_percent(found, lowered, place)),
        dollars=frozenset(value for place, value in numbers if found[place].startswith("$")),
        near_number=frozenset(
            (value, near) for place, value in numbers for near in stems[max(0, place - 3) : place + 4]
        ),
        bigrams=frozenset(pairwise(stems)),
        trigrams=frozenset(zip(stems, stems[1:], stems[2:], strict=False)),
        negated=frozenset(negated),
        codes=frozenset(_CODE.findall(text.lower())),
        sentences=tuple(_sentences(text, placed, stems, content)),
    )


def _sentences(
    text: str, placed: Sequence[tuple[int, str]], stems: Sequence[str], content: Sequence[int]
) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Yield start, end and content stems of every sentence."""
    number = 0
    for start, end in sentence_spans(text):
        own = []
        while number < len(content) and placed[content[number]][0] < end:
            own.append(stems[content[number]])
            number += 1
        yield start, end, frozenset(own)


def _is_percent(found: Sequence[str], lowered: Sequence[str], place: int) -> bool:
    return found[place].endswith("%") or (place + 1 < len(lowered) and lowered[place + 1] in _PERCENT)


@dataclass(frozen=True, slots=True)
class Sources:
    """The texts that an answer may rest on, read together."""

    parts: tuple[WordsOf, ...]
    words: frozenset[str]
    stems: frozenset[str]
    numbers: frozenset[float]
    beginnings: frozenset[str]
    groups: frozenset[int]
    sentences: tuple[SourceSentence, ...]
    found: dict[frozenset[str], tuple[float, SourceSentence | None]] = field(default_factory=dict)
    """Evidence already looked for: the score and the claims ask for the same."""

    def near(self, one: str, other: str) -> bool:
        """Whether two stems stand close together in a source."""
        return any(
            abs(here - there) <= _NEAR
            for part in self.parts
            if one in part.positions and other in part.positions
            for here in part.positions[one]
            for there in part.positions[other]
        )


class SupportReader:
    """Reads sources, each text once, and measures texts against them."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._words_of = lru_cache(maxsize=2_048)(lambda text: words_of(text, lexicon.negations))

    def sources(self, texts: Iterable[tuple[str, str]]) -> Sources:
        """Return the sources of (id, text) pairs."""
        given = [(source_id, text, self._words_of(text)) for source_id, text in texts if text]
        parts = tuple(part for _, _, part in given)
        words = frozenset().union(*(part.words for part in parts))
        stems = frozenset().union(*(part.positions for part in parts))
        synonyms = self._lexicon.synonyms
        return Sources(
            parts=parts,
            words=words,
            stems=stems,
            numbers=frozenset().union(*(part.numbers for part in parts)),
            beginnings=frozenset(word[:_BEGINNING] for word in words if len(word) >= _BEGINNING),
            groups=frozenset(group for one in stems if one in synonyms for group in synonyms[one]),
            sentences=tuple(
                SourceSentence(text[start:end].strip(), source_id, own)
                for source_id, text, part in given
                for start, end, own in part.sentences
            ),
        )

    def features(self, text: str, sources: Sources) -> dict[str, float]:
        """Return the model's features of a text; `closeness` tells how far it follows its sources."""
        return _Measuring(self._words_of(text), sources, self._lexicon).features()

    def unsupported(self, text: str, sources: Sources) -> tuple[str, ...]:
        """Return the words that no source has, neither itself nor by a synonym."""
        return _Measuring(self._words_of(text), sources, self._lexicon).missing()


def best_evidence(stems: frozenset[str], sources: Sources) -> tuple[float, SourceSentence | None]:
    """Return the source sentence with most of these stems, and the share it has."""
    known = sources.found.get(stems)
    if known is not None:
        return known
    best, found = 0, None
    for sentence in sources.sentences:
        shared = len(stems & sentence.stems)
        if shared > best:
            best, found = shared, sentence
    sources.found[stems] = best / len(stems), found
    return sources.found[stems]


@dataclass(frozen=True, slots=True)
class _Measuring:
    """One text against its sources."""

    own: WordsOf
    sources: Sources
    lexicon: Lexicon

    def missing(self) -> tuple[str, ...]:
        """Return the unsupported words without a synonym in the sources."""
        own = self.own
        return tuple(
            own.tokens[place]
            for place in own.content
            if not self._known(place) and not self._synonym(own.stems[place])
        )

    def features(self) -> dict[str, float]:
        """Return every feature."""
        own, sources = self.own, self.sources
        count = max(1, len(own.content))
        unsupported = [
            place
            for place in own.content
            if own.stems[place] not in sources.stems and number_of(own.tokens[place]) is None
        ]
        synonyms = sum(self._synonym(own.stems[place]) for place in unsupported)
        strange = sum(
            len(own.lowered[place]) < _BEGINNING or own.lowered[place][:_BEGINNING] not in sources.beginnings
            for place in unsupported
        )
        bigrams = list(pairwise(own.stems))
        trigrams = list(zip(own.stems, own.stems[1:], own.stems[2:], strict=False))
        covered = [best_evidence(stems, sources)[0] for _, _, stems in own.sentences if len(stems) >= 2] or [
            1.0
        ]
        content = [own.stems[place] for place in own.content]
        pairs = list(pairwise(content))
        opposite, beside = self._opposites()
        ratio = len(unsupported) / count
        return {
            **self._numbers(),
            "unknown_code": min(
                2, sum(not any(code in part.codes for part in sources.parts) for code in own.codes)
            ),
            "unknown_name": min(3, self._names()),
            "unsupported_negation": min(2, self._negations()),
            "opposite": min(2, opposite),
            "opposite_beside": min(2, beside),
            "negating_prefix": min(2, sum(self._negates(own.lowered[place]) for place in unsupported)),
            "contrast": min(2, self._new(self.lexicon.contrasts)),
            "quantity": min(2, self._new(self.lexicon.quantities)),
            "unsupported_ratio": ratio,
            "unsupported_no_synonym_ratio": (len(unsupported) - synonyms) / count,
            "unsupported_beginning_ratio": strange / count,
            "synonyms": min(4, synonyms),
            "unsupported_words": min(5, len(unsupported) - synonyms),
            "new_bigram_ratio": _share_new(bigrams, [part.bigrams for part in sources.parts]),
            "new_trigram_ratio": _share_new(trigrams, [part.trigrams for part in sources.parts]),
            "least_covered": min(covered),
            "mean_covered": sum(covered) / len(covered),
            "mixed_pair_ratio": sum(
                one in sources.stems and other in sources.stems and not sources.near(one, other)
                for one, other in pairs
            )
            / max(1, len(pairs)),
            "substitutions": min(4, self._substitutions(content, set(unsupported))),
            "closeness": _closeness(len(own.tokens), ratio),
        }

    def _known(self, place: int) -> bool:
        value = number_of(self.own.tokens[place])
        return (
            value in self.sources.numbers
            if value is not None
            else self.own.stems[place] in self.sources.stems
        )

    def _synonym(self, word: str) -> bool:
        return not self.sources.groups.isdisjoint(self.lexicon.synonyms.get(word, ()))

    def _numbers(self) -> dict[str, float]:
        own, sources = self.own, self.sources
        unknown = digits = other_kind = elsewhere = 0
        for place, token in enumerate(own.tokens):
            value = number_of(token)
            if value is None:
                continue
            if value not in sources.numbers:
                unknown += 1
                digits += token[-1].isdigit() or token[0] == "$"
                continue
            if token.endswith("%"):
                other_kind += not any(value in part.percents for part in sources.parts)
            elif token.startswith("$"):
                other_kind += not any(value in part.dollars for part in sources.parts)
            neighbours = own.stems[max(0, place - 1) : place] + own.stems[place + 1 : place + 2]
            if place + 1 < len(own.stems):
                elsewhere += not any(
                    (value, near) in part.near_number for near in neighbours for part in sources.parts
                )
        return {
            "unknown_number": min(2, unknown),
            "unknown_digits": min(2, digits),
            "number_of_other_kind": min(2, other_kind),
            "number_elsewhere": min(2, elsewhere),
        }

    def _names(self) -> int:
        """Count capitalised words, the first aside, that no source has."""
        own = self.own
        return sum(
            token[:1].isupper()
            and own.lowered[place] not in STOP_WORDS
            and own.stems[place] not in self.sources.stems
            for place, token in enumerate(own.tokens)
            if place
        )

    def _negations(self) -> int:
        """Count negations of something that no source negates."""
        own, found = self.own, 0
        for place, low in enumerate(own.lowered):
            if low in self.lexicon.negations or low.endswith("n't"):
                after = [
                    own.stems[next_]
                    for next_ in range(place + 1, min(place + 4, len(own.stems)))
                    if own.lowered[next_] not in STOP_WORDS
                ][:2]
                found += not any(one in part.negated for one in after for part in self.sources.parts)
        return found

    def _opposites(self) -> tuple[int, int]:
        """Count words not in a source whose opposite is: by stem too, and by the word alone."""
        opposite = beside = 0
        for low, own_stem in zip(self.own.lowered, self.own.stems, strict=True):
            others = self.lexicon.opposites.get(low)
            if others is None or low in self.sources.words or self.sources.words.isdisjoint(others):
                continue
            if own_stem in self.sources.stems:
                beside += 1
            else:
                opposite += 1
        return opposite, beside

    def _negates(self, low: str) -> bool:
        """Whether a word is one of the sources' with a negating prefix or ending."""
        if low.endswith("less") and stem(low[:-4]) in self.sources.stems:
            return True
        return any(
            part.startswith(prefix)
            and len(part) - len(prefix) >= 4
            and (part[len(prefix) :] in self.sources.words or stem(part[len(prefix) :]) in self.sources.stems)
            for part in low.split("-")
            for prefix in _PREFIXES
        )

    def _new(self, words: frozenset[str]) -> int:
        return sum(low in words and low not in self.sources.words for low in self.own.lowered)

    def _substitutions(self, content: Sequence[str], unsupported: set[int]) -> int:
        """Count unsupported words between two supported ones."""
        known, places = self.sources.stems, self.own.content
        return sum(
            place in unsupported and content[number - 1] in known and content[number + 1] in known
            for number, place in enumerate(places)
            if 0 < number < len(places) - 1
        )


def _share_new(found: Sequence[tuple[str, ...]], known: Sequence[frozenset[tuple[str, ...]]]) -> float:
    new = set(found)
    for part in known:
        new = new - part
    return sum(one in new for one in found) / max(1, len(found))


def _closeness(count: int, unsupported_ratio: float) -> float:
    """Return 1 for a longer text in its sources' words (an edit decides), 0 for one in its own."""
    longer = 1 / (1 + math.exp(-3 * (math.log1p(max(1, count)) - math.log(26))))
    following = 1 / (1 + math.exp(12 * (unsupported_ratio - 0.35)))
    return longer * following
