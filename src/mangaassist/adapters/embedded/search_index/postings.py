"""BM25 over title and text as precomputed weights in sorted arrays, mapped into memory.

Okapi BM25 (Robertson and Zaragoza 2009) with the idf of Lucene, ln(1 + (N - n + 0.5) / (n + 0.5)), which is
never negative. A title word counts `TITLE_WEIGHT` times. Everything that does not depend on the query is
computed at build time, so that a query adds a few sorted arrays.

Beside words, the joins of neighbouring title words are indexed (`one punch` as `onepunch`), so that a name
is found however it is spaced or hyphenated. A query word that no chunk holds is looked for as a join, as
another spelling of its long vowels (`shounen`, `shonen`), and last as a word one typing slip away.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.lexical import content_words, near_spellings, romaji_key, stem, words

K1 = 1.2
B = 0.6
TITLE_WEIGHT = 2
JOIN = "~"
MAX_QUERY_WORDS = 96
MIN_TYPO_LETTERS = 5
TYPO_WEIGHT = 0.7
_TERMS = "terms.txt"
_STARTS = "term_starts.npy"
_ROWS = "posting_rows.npy"
_WEIGHTS = "posting_weights.npy"


class PostingsWriter:
    """Collects term frequencies of chunks in the order they are added."""

    def __init__(self) -> None:
        self._term_ids: dict[str, int] = {}
        self._terms, self._chunks, self._frequencies = array("i"), array("i"), array("i")
        self._lengths = array("i")

    def add(self, title: str, text: str) -> None:
        """Add the next chunk's words."""
        title_words, text_words = words(title), words(text)
        frequencies: dict[str, int] = {}
        for word in title_words:
            term = stem(word)
            frequencies[term] = frequencies.get(term, 0) + TITLE_WEIGHT
        for word in text_words:
            term = stem(word)
            frequencies[term] = frequencies.get(term, 0) + 1
        for left, right in pairwise(title_words):
            frequencies[JOIN + left + right] = TITLE_WEIGHT
        chunk = len(self._lengths)
        self._lengths.append(TITLE_WEIGHT * len(title_words) + len(text_words))
        for term, frequency in frequencies.items():
            self._terms.append(self._term_ids.setdefault(term, len(self._term_ids)))
            self._chunks.append(chunk)
            self._frequencies.append(frequency)

    def write(self, folder: Path, *, row_of: NDArray[np.int32]) -> None:
        """Write the postings; `row_of[n]` is the final row of the n-th chunk added."""
        count = len(self._lengths)
        lengths = np.asarray(self._lengths, dtype=np.float64)
        terms, chunks = np.asarray(self._terms, dtype=np.int32), np.asarray(self._chunks, dtype=np.int32)
        frequencies = np.asarray(self._frequencies, dtype=np.float64)
        chunk_counts = np.bincount(terms, minlength=len(self._term_ids))
        idf = np.log1p((count - chunk_counts + 0.5) / (chunk_counts + 0.5))
        average = lengths.mean() if count else 1.0
        norm = K1 * (1 - B + B * lengths / max(average, 1.0))
        weights = idf[terms] * frequencies * (K1 + 1) / (frequencies + norm[chunks])
        rows = row_of[chunks]
        order = np.lexsort((rows, terms))
        starts = np.concatenate([[0], np.cumsum(chunk_counts)])
        (folder / _TERMS).write_text("\n".join(self._term_ids), encoding="utf-8")
        np.save(folder / _STARTS, starts.astype(np.int64))
        np.save(folder / _ROWS, rows[order].astype(np.int32))
        np.save(folder / _WEIGHTS, weights[order].astype(np.float32))


class Postings:
    """Scores every row for a query; safe to use from any thread."""

    def __init__(self, folder: Path, *, count: int) -> None:
        terms = (folder / _TERMS).read_text(encoding="utf-8")
        self._count = count
        self._term_ids = {term: at for at, term in enumerate(terms.split("\n"))} if terms else {}
        # the keys of all terms in one pass: no rule of `romaji_key` reaches over a line end
        self._by_sound = {
            key: term
            for key, term in zip(romaji_key(terms).split("\n"), self._term_ids, strict=False)
            if key != term and term[0] != JOIN
        }
        self._starts: list[int] = np.load(folder / _STARTS).tolist()
        self._rows = np.asarray(np.load(folder / _ROWS, mmap_mode="r"))
        self._weights = np.asarray(np.load(folder / _WEIGHTS, mmap_mode="r"))
        # a query is scored once for its hits and once for the candidates of the other leg; one assignment
        # of a pair, so that threads never see one half of it
        self._last: tuple[str | None, NDArray[np.float32]] = (None, np.empty(0, dtype=np.float32))

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return the BM25 score of every row, not to be written to; 0 where no word matches."""
        last_text, last_scores = self._last
        if text == last_text:
            return last_scores
        scores = np.zeros(self._count, dtype=np.float32)
        # in order of the terms, so that the order of the words cannot change a rounding
        for term, weight in sorted(self._query_terms(text).items()):
            start, end = self._starts[term], self._starts[term + 1]
            scores[self._rows[start:end]] += self._weights[start:end] * np.float32(weight)
        self._last = (text, scores)
        return scores

    def _query_terms(self, text: str) -> dict[int, float]:
        """Return the terms to look up with their weights; a word repeated counts once."""
        found: dict[int, float] = {}
        for word in dict.fromkeys(content_words(text)[:MAX_QUERY_WORDS]):
            for term, weight in self._terms_of(word):
                found[term] = max(weight, found.get(term, 0.0))
        for left, right in pairwise(words(text)[:MAX_QUERY_WORDS]):
            joined = self._term_ids.get(stem(left + right))
            if joined is not None:
                found[joined] = 1.0
        return found

    def _terms_of(self, word: str) -> Iterator[tuple[int, float]]:
        ids = self._term_ids
        term, join = ids.get(stem(word)), ids.get(JOIN + word)
        if term is not None:
            yield term, 1.0
        if join is not None:
            yield join, 1.0
        if term is not None or join is not None:
            return
        key = romaji_key(word)
        sounds_like = self._by_sound.get(stem(key)) or self._by_sound.get(key) or stem(key)
        if sounds_like in ids:
            yield ids[sounds_like], 1.0
        elif len(word) >= MIN_TYPO_LETTERS and word.isascii() and word.isalpha():
            near = {ids[one] for one in near_spellings(stem(word)) if one in ids}
            # several words may be meant; the one that most chunks hold is the likeliest
            if near:
                yield max(near, key=lambda at: (self._starts[at + 1] - self._starts[at], -at)), TYPO_WEIGHT
