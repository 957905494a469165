"""Hashed features of a text with the position of each, so that every window's score is one subtraction.

Three groups: character n-grams inside words, words and pairs of words, and concepts (words of many
languages that mean the same, `ignore` or `rules`) with their pairs. All of it is vectorised: about a tenth
of a microsecond a character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Hashes = NDArray[np.uint32]

CHARACTER_BUCKETS: Final = 1 << 16
WORD_BUCKETS: Final = 1 << 16
CONCEPT_BUCKETS: Final = 1 << 13
GROUP_STARTS: Final = (0, CHARACTER_BUCKETS, CHARACTER_BUCKETS + WORD_BUCKETS)
BUCKETS: Final = CHARACTER_BUCKETS + WORD_BUCKETS + CONCEPT_BUCKETS
CHARACTER_SIZES: Final = (3, 4, 5)
UNSPACED_SIZES: Final = (2, 3)
"""Character n-grams of scripts without spaces: these are their words."""
CONCEPT_REACH: Final = 8
"""Words between two concepts that still make a pair."""
CONCEPT_NEIGHBOURS: Final = 5

_PRIME: Final = np.uint32(0x01000193)
_MIXER: Final = np.uint32(0x9E3779B1)
_SHIFT: Final = np.uint32(15)
_SPACE: Final = 0x20
_TABLE: Final = 0x0600
"""Characters below are looked up one by one, those above by ranges."""
_QUOTES: Final = {0x2018: ord("'"), 0x2019: ord("'"), 0x201C: ord('"'), 0x201D: ord('"')}
_OTHER, _LETTER, _UNSPACED = 0, 1, 2
_INFLECTIONS: Final = ("", "s", "es", "d", "ed", "ing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """A text's features by group: the bucket of each and the character where it stands."""

    length: int
    buckets: tuple[Ints, Ints, Ints]
    positions: tuple[Ints, Ints, Ints]


class FeatureReader:
    """Reads features with one lexicon of concepts."""

    def __init__(self, concepts: Mapping[str, Sequence[str]]) -> None:
        self._fold, self._kind = _character_tables()
        numbers: dict[str, int] = {}
        for number, name in enumerate(sorted(concepts)):
            for word in concepts[name]:
                numbers.setdefault(folded(word), number)
        unspaced = {word: number for word, number in numbers.items() if _is_written_unspaced(word)}
        spaced = [word for word in numbers if word not in unspaced and _is_one_word(word)]
        hashes = self._hashes_of(spaced)
        order = np.argsort(hashes)
        self._concept_hashes = hashes[order]
        self._concept_numbers = np.array([numbers[word] for word in spaced], dtype=np.intp)[order]
        self._unspaced = unspaced
        longest_first = sorted(unspaced, key=lambda word: (-len(word), word))
        self._unspaced_pattern = re.compile("|".join(map(re.escape, longest_first))) if unspaced else None

    def read(self, text: str) -> Features:
        """Return the features of a text; positions are offsets in it."""
        plain, kinds = self._characters(text)
        characters = _character_features(plain, kinds)
        starts, words = _words(plain, kinds)
        spaced = _word_features(starts, words)
        concepts = self._concept_features(text, starts, words, has_unspaced=bool((kinds == _UNSPACED).any()))
        return Features(
            length=len(plain),
            buckets=(characters[0], spaced[0], concepts[0]),
            positions=(characters[1], spaced[1], concepts[1]),
        )

    def _characters(self, text: str) -> tuple[Hashes, NDArray[np.uint8]]:
        """Return the folded characters and the kind of each."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        low = codes < _TABLE
        if low.all():
            return self._fold[codes], self._kind[codes]
        plain, kinds = codes.copy(), np.empty(len(codes), dtype=np.uint8)
        plain[low], kinds[low] = self._fold[codes[low]], self._kind[codes[low]]
        high = codes[~low]
        kinds[~low] = np.where(_is_unspaced(high), _UNSPACED, np.where(_is_sign(high), _OTHER, _LETTER))
        for code, ascii_code in _QUOTES.items():
            plain[codes == code] = ascii_code
            kinds[codes == code] = _LETTER if ascii_code == ord("'") else _OTHER
        return plain, kinds

    def _hashes_of(self, words: Sequence[str]) -> Hashes:
        return _words(*self._characters(" ".join(words)))[1]

    def _concept_features(
        self, text: str, starts: Ints, words: Hashes, *, has_unspaced: bool
    ) -> tuple[Ints, Ints]:
        """Return single concepts, ordered pairs within reach, and runs of three."""
        slot = np.minimum(np.searchsorted(self._concept_hashes, words), len(self._concept_hashes) - 1)
        known = self._concept_hashes[slot] == words
        order = np.flatnonzero(known)  # the number of the word in the text
        numbers, places = self._concept_numbers[slot[known]], starts[known]
        if has_unspaced and self._unspaced_pattern is not None:
            found = [
                (match.start(), self._unspaced[match.group()])
                for match in self._unspaced_pattern.finditer(text)
            ]
            if found:
                places = np.concatenate((places, np.array([entry[0] for entry in found], dtype=np.intp)))
                numbers = np.concatenate((numbers, np.array([entry[1] for entry in found], dtype=np.intp)))
                by_place = np.argsort(places, kind="stable")
                places, numbers = places[by_place], numbers[by_place]
                # without spaces, three characters count as a word
                order = places // 3
        hashes, where = [numbers.astype(np.uint32) + np.uint32(1)], [places]
        single = hashes[0]
        for gap in range(1, CONCEPT_NEIGHBOURS + 1):
            if len(single) <= gap:
                break
            near = order[gap:] - order[:-gap] <= CONCEPT_REACH
            pair = (single[:-gap] * np.uint32(64) + single[gap:] + np.uint32(1 << 16))[near]
            hashes.append(pair)
            where.append(places[gap:][near])
        if len(single) > 2:
            near = order[2:] - order[:-2] <= CONCEPT_REACH
            run = (single[:-2] * np.uint32(4096) + single[1:-1] * np.uint32(64) + single[2:])[near]
            hashes.append(run + np.uint32(1 << 20))
            where.append(places[2:][near])
        mixed = _mixed(np.concatenate(hashes)) & np.uint32(CONCEPT_BUCKETS - 1)
        return mixed.astype(np.intp) + GROUP_STARTS[2], np.concatenate(where)


def folded(word: str) -> str:
    """Return a word in lower case without accents, as the features see it."""
    plain = unicodedata.normalize("NFD", word.lower())
    return unicodedata.normalize("NFC", "".join(c for c in plain if not "\u0300" <= c <= "\u036f"))


def inflected(words: Sequence[str]) -> list[str]:
    """Return English words with their regular forms."""
    forms = []
    for word in words:
        stem = word[:-1] if word.endswith("e") else word
        forms += [word + ending for ending in _INFLECTIONS]
        forms += [stem + "ing", stem + "ed"]
        if word.endswith("y"):
            forms += [word[:-1] + "ies", word[:-1] + "ied"]
        forms += [word + word[-1] + "ed", word + word[-1] + "ing"]
    return forms


def _character_tables() -> tuple[Hashes, NDArray[np.uint8]]:
    fold = np.arange(_TABLE, dtype=np.uint32)
    kind = np.full(_TABLE, _OTHER, dtype=np.uint8)
    for code in range(_TABLE):
        character = chr(code)
        if character.isspace():
            fold[code] = _SPACE
        elif character.isdigit():
            fold[code], kind[code] = ord("0"), _LETTER
        elif character.isalpha() or unicodedata.category(character).startswith("M"):
            plain = folded(character)
            fold[code], kind[code] = ord(plain) if len(plain) == 1 else code, _LETTER
    kind[[ord("'"), ord("_")]] = _LETTER
    return fold, kind


def _is_written_unspaced(word: str) -> bool:
    codes = np.array([ord(character) for character in word]) if not word.isascii() else np.empty(0, dtype=int)
    return bool(_is_unspaced(codes).any())


def _is_one_word(word: str) -> bool:
    return all(character.isalnum() or character in "'_" or ord(character) >= _TABLE for character in word)


def _is_sign(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether code points above the table are punctuation, symbols or spaces rather than letters."""
    return np.asarray(
        ((codes >= 0x2000) & (codes <= 0x2BFF))
        | ((codes >= 0x3000) & (codes <= 0x3040))
        | ((codes >= 0xD800) & (codes <= 0xF8FF))
        | ((codes >= 0xFE00) & (codes <= 0xFE6F))
        | ((codes >= 0xFF00) & (codes <= 0xFFFF))
        | (codes >= 0x1F000),
        dtype=np.bool_,
    )


def _is_unspaced(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether code points belong to scripts that write without spaces, or like Korean glue particles on."""
    return np.asarray(
        ((codes >= 0x3041) & (codes <= 0x30FF))
        | ((codes >= 0x3400) & (codes <= 0x9FFF))
        | ((codes >= 0xAC00) & (codes <= 0xD7AF))
        | ((codes >= 0xF900) & (codes <= 0xFAFF))
        | ((codes >= 0x0E00) & (codes <= 0x0E7F))
        | ((codes >= 0x20000) & (codes <= 0x3FFFF)),
        dtype=np.bool_,
    )


def _mixed(hashes: Hashes) -> Hashes:
    mixed = hashes * _MIXER
    mixed ^= mixed >> _SHIFT
    mixed *= _PRIME
    mixed ^= mixed >> _SHIFT
    return mixed


def _character_features(plain: Hashes, kinds: NDArray[np.uint8]) -> tuple[Ints, Ints]:
    """Hash the n-grams that stay within a word and its two borders."""
    padded = np.concatenate(([_SPACE], plain, [_SPACE])).astype(np.uint32)
    is_space = padded == _SPACE
    spaces = np.concatenate(([0], np.cumsum(is_space)))
    unspaced = np.concatenate(([False], kinds == _UNSPACED, [False]))
    some_unspaced = bool(unspaced.any())
    rolling = _mixed(padded)
    units, hashes, where = rolling, [], []
    for size in range(2, max(CHARACTER_SIZES) + 1):
        if len(padded) < size:
            break
        rolling = rolling[:-1] * _PRIME + units[size - 1 :]
        count = len(rolling)
        if size in CHARACTER_SIZES:
            inside = spaces[size - 1 : size - 1 + count] - spaces[1 : 1 + count] == 0
            chosen = np.flatnonzero(inside)
            hashes.append(rolling[chosen] + np.uint32(size))
            where.append(chosen)
        if some_unspaced and size in UNSPACED_SIZES:
            chosen = np.flatnonzero(unspaced[:count] & unspaced[size - 1 :])
            hashes.append(rolling[chosen] + np.uint32(size + 16))
            where.append(chosen)
    if not hashes:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    buckets = _mixed(np.concatenate(hashes)) & np.uint32(CHARACTER_BUCKETS - 1)
    positions = np.clip(np.concatenate(where) - 1, 0, max(len(plain) - 1, 0))
    return buckets.astype(np.intp), positions


def _words(plain: Hashes, kinds: NDArray[np.uint8]) -> tuple[Ints, Hashes]:
    """Return where the words of spaced scripts start, and the hash of each."""
    is_letter = np.concatenate(([False], kinds == _LETTER, [False]))
    borders = np.flatnonzero(is_letter[1:] != is_letter[:-1])
    starts, ends = borders[::2], borders[1::2]
    return starts, _word_hashes(plain, starts, ends)


def _word_hashes(plain: Hashes, starts: Ints, ends: Ints) -> Hashes:
    if not len(starts):
        return np.empty(0, dtype=np.uint32)
    lengths = ends - starts
    offsets = np.repeat(np.cumsum(lengths) - lengths, lengths)
    within = np.arange(int(lengths.sum())) - offsets
    characters = np.repeat(starts, lengths) + within
    salted = _mixed(plain[characters] + (within.astype(np.uint32) << np.uint32(21)))
    return np.asarray(np.add.reduceat(salted, np.cumsum(lengths) - lengths), dtype=np.uint32)


def _word_features(starts: Ints, words: Hashes) -> tuple[Ints, Ints]:
    """Return words, neighbours and pairs with one or two words between them."""
    hashes, where = [words], [starts]
    for gap in (1, 2, 3):
        if len(words) > gap:
            kind = np.uint32(7 if gap == 1 else 11)
            hashes.append(_mixed(words[:-gap] * kind) + words[gap:])
            where.append(starts[gap:])
    if len(words) > 2:
        hashes.append(_mixed(_mixed(words[:-2] * np.uint32(13)) + words[1:-1]) + words[2:])
        where.append(starts[2:])
    buckets = _mixed(np.concatenate(hashes)) & np.uint32(WORD_BUCKETS - 1)
    return buckets.astype(np.intp) + GROUP_STARTS[1], np.concatenate(where)
