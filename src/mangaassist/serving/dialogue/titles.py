"""The title lexicon: which series a message names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mangaassist.domain.catalog import Series
from mangaassist.serving.dialogue.text import Token, Tokenizer, fold
from mangaassist.serving.dialogue.title_cues import Strength, is_meant
from mangaassist.serving.dialogue.typos import TypoIndex, edit_distance
from mangaassist.serving.dialogue.words import EVERYDAY

MAX_IDS: Final = 5  # a name shared by more series than this names none of them
_ARTICLES: Final = ("the", "a", "an")
_ROMAJI: Final = (
    r"(?:(?:[kgsztdnhbpmyrjfw]|sh|ch|ts|[kgsnhmrbp]y)?[aiueo]{1,2}|n(?![aiueo])|[kstp](?=[kstpc]))+"
)
_TITLE, _ALTERNATIVE, _SHORTENED, _SUBTITLE, _SINGLE_WORD = range(5)


@dataclass(frozen=True, slots=True)
class Mention:
    """A series named in a message; several ids where a name is shared ("jojo")."""

    series_ids: tuple[str, ...]
    start: int
    end: int
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    series_ids: tuple[str, ...]
    rank: int
    strength: Strength
    words: tuple[str, ...] = ()


class TitleLexicon:
    """Finds titles in a message whatever their case, accents, spacing, punctuation and small typos.

    Built once per catalogue, immutable afterwards. `ordinary_words` are words of running text: a title made
    of one of them needs a cue. Imported series are matched exactly, those of the pack also with typos.
    """

    def __init__(
        self, series: Iterable[Series], *, tokenizer: Tokenizer, ordinary_words: Collection[str]
    ) -> None:
        self._ordinary = ordinary_words
        self._entries: dict[str, _Entry] = {}
        self._series_words: set[str] = set()
        self._split = re.compile(r":\s|\s[-–~]\s|\s*\(")
        self._romaji = re.compile(_ROMAJI)
        self._between_words = re.compile(r"[\W_]+")
        self._imported: dict[str, tuple[str, ...]] = {}
        own: list[Series] = []
        imported: list[Series] = []
        for one in series:
            (own if one.source == "pack" else imported).append(one)
        for one in own:
            self._add_series(one, tokenizer)
        self._add_single_words(own, tokenizer)
        self._typos = TypoIndex(self._series_words)
        for one in imported:
            self._add_imported(one)
        keys = (*self._entries, *self._imported)
        self._longest = max(map(len, keys), default=0)
        self._prefixes = frozenset(key[:3] for key in keys)

    def __len__(self) -> int:
        return len(self._entries) + len(self._imported)

    def knows_word(self, word: str) -> bool:
        """Tell whether a title of the pack contains the word."""
        return word in self._series_words

    def find(self, text: str, tokens: Sequence[Token], *, in_talk: Collection[str] = ()) -> list[Mention]:
        """Return the titles in `text`, left to right, the longest at each place, never overlapping.

        `in_talk` are series the conversation is about: their names need no further cue.
        """
        norms, corrected = self._corrected(tokens)
        mentions: list[Mention] = []
        index = 0
        while index < len(tokens):
            found = self._longest_at(text, tokens, norms, corrected, index, in_talk)
            if found is None:
                index += 1
            else:
                mention, index = found
                mentions.append(mention)
        return mentions

    def _corrected(self, tokens: Sequence[Token]) -> tuple[list[str], set[int]]:
        norms, corrected = [token.norm for token in tokens], set()
        for index, norm in enumerate(norms):
            if (
                norm in EVERYDAY
                or norm in self._ordinary
                or norm in self._series_words
                or norm in self._entries
            ):
                continue
            if norm.endswith("s") and (norm[:-1] in self._ordinary or norm[:-1] in self._entries):
                continue
            correction = self._typos.correct(norm)
            if correction is not None:
                norms[index] = correction
                corrected.add(index)
        return norms, corrected

    def _longest_at(
        self,
        text: str,
        tokens: Sequence[Token],
        norms: Sequence[str],
        corrected: Collection[int],
        first: int,
        in_talk: Collection[str],
    ) -> tuple[Mention, int] | None:
        candidates: list[tuple[int, _Entry]] = []
        key = ""
        for last in range(first, len(norms)):
            key += norms[last]
            if len(key) > self._longest or (len(key) >= 3 and key[:3] not in self._prefixes):
                break
            entry = self._entry(key, norms[first : last + 1])
            if entry is None and key.endswith("s"):
                entry = self._singular(key[:-1], norms[first : last + 1], possessive=tokens[last].possessive)
            if entry is not None:
                candidates.append((last, entry))
        for last, entry in reversed(candidates):
            was_corrected = any(index in corrected for index in range(first, last + 1))
            if was_corrected and (entry.strength == "everyday" or entry.rank == _SINGLE_WORD):
                continue
            if was_corrected and first == last and not _same_word(tokens[first].norm, norms[first]):
                continue
            talked = any(series_id in in_talk for series_id in entry.series_ids)
            if is_meant(text, tokens, first, last, strength=entry.strength, in_talk=talked):
                mention = Mention(entry.series_ids, tokens[first].start, tokens[last].end, was_corrected)
                return mention, last + 1
        return None

    def _entry(self, key: str, words: Sequence[str]) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            ids = self._imported.get(key)
            return _Entry(ids, _TITLE, self._imported_strength(key, words)) if ids else None
        if len(words) > 1 and (entry.rank == _SINGLE_WORD or all(word in EVERYDAY for word in words)):
            return entry if entry.words == tuple(words) else None
        return entry

    def _singular(self, key: str, words: Sequence[str], *, possessive: bool) -> _Entry | None:
        entry = self._entry(key, words)
        return entry if entry is not None and (possessive or entry.strength == "plain") else None

    def _add_series(self, series: Series, tokenizer: Tokenizer) -> None:
        for name, rank in ((series.title, _TITLE), *((alt, _ALTERNATIVE) for alt in series.alt_titles)):
            for words, worse in self._forms(name, tokenizer):
                self._add(words, series.series_id, max(rank, worse))
                self._series_words.update(words)

    def _forms(self, name: str, tokenizer: Tokenizer) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield the ways to say a title: whole, without "and", article or subtitle, the subtitle alone."""
        whole = tokenizer.words(name)
        yield whole, _TITLE
        if "and" in whole and "&" in name:
            yield tuple(word for word in whole if word != "and"), _ALTERNATIVE
        if len(whole) > 1 and whole[0] in _ARTICLES and whole[1] not in _ARTICLES:
            yield whole[1:], _ALTERNATIVE
        head, *tail = self._split.split(name, maxsplit=1)
        if tail:
            yield tokenizer.words(head), _SHORTENED
            subtitle = tokenizer.words(tail[0])
            if len(subtitle) > 1:
                yield subtitle, _SUBTITLE

    def _add_single_words(self, series: Sequence[Series], tokenizer: Tokenizer) -> None:
        """Let a rare word of a title stand for it: "nausicaa", "konosuba", "jojo"."""
        owners: dict[str, list[str]] = {}
        for one in series:
            described = one.description or ""
            for place, word in enumerate(tokenizer.words(one.title)):
                base = word[:-1] if word.endswith("s") and "'" in one.title else word
                if len(base) < 4 or self._common(base) or self._common(word):
                    continue
                first_of_name = place == 0 and self._romaji.fullmatch(base)
                if first_of_name or f" {base.capitalize()}" in described:
                    owners.setdefault(base, []).append(one.series_id)
        for word, series_ids in owners.items():
            if len(series_ids) <= MAX_IDS:
                self._series_words.add(word)
                for series_id in series_ids:
                    self._add((word,), series_id, _SINGLE_WORD)

    def _add_imported(self, series: Series) -> None:
        for name in (series.title, *series.alt_titles):
            key = self._between_words.sub("", fold(name))
            known = self._imported.get(key, ())
            if key and series.series_id not in known and len(known) < MAX_IDS:
                self._imported[key] = (*known, series.series_id)

    def _add(self, words: tuple[str, ...], series_id: str, rank: int) -> None:
        key = "".join(words)
        if not key or (rank == _SUBTITLE and len(key) < 8):
            return
        known = self._entries.get(key)
        if known is None or rank < known.rank:
            self._entries[key] = _Entry((series_id,), rank, self._strength(words, rank), words)
        elif known.rank == rank and series_id not in known.series_ids and len(known.series_ids) < MAX_IDS:
            self._entries[key] = _Entry((*known.series_ids, series_id), rank, known.strength, known.words)

    def _strength(self, words: tuple[str, ...], rank: int) -> Strength:
        if len("".join(words)) <= 2:
            return "everyday"
        if all(word in EVERYDAY for word in words):
            return "everyday"
        if all(self._common(word) for word in words):
            return "cued" if len(words) == 1 or rank == _SUBTITLE else "plain"
        return "plain"

    def _imported_strength(self, key: str, words: Sequence[str]) -> Strength:
        if len(key) < 5 or all(word in EVERYDAY or word.isdigit() for word in words):
            return "quoted"
        common = sum(self._common(word) for word in words)
        if len(words) == 1:
            return "quoted" if common else "cued"
        return "cued" if common == len(words) else "plain"

    def _common(self, word: str) -> bool:
        return word in EVERYDAY or word in self._ordinary


def ordinary_words(series: Iterable[Series], texts: Iterable[str]) -> frozenset[str]:
    """Return the words that the pack's descriptions and themes, and `texts`, use in running text.

    A capitalised word is a name unless it is also written small somewhere, so names do not count.
    """
    small: set[str] = set()
    letters = re.compile(r"(?<![\w'’])[a-z][a-z'’]*")
    for text in texts:
        small.update(letters.findall(text))
    for one in series:
        if one.source == "pack":
            small.update(
                letters.findall(" ".join((one.description or "", *one.themes, *one.genres, *one.moods)))
            )
    return frozenset(word.replace("'", "").replace("’", "") for word in small)


def _same_word(typed: str, known: str) -> bool:
    """Tell whether a word mistyped on its own is near enough to stand for a title."""
    if edit_distance(typed, known, limit=1) == 1:
        return len(typed) != len(known) or sorted(typed) == sorted(known) or len(known) >= 8
    return typed[:2] == known[:2] and typed[-2:] == known[-2:] and len(typed) != len(known)
