"""Hashed character and word n-grams: the features that need no encoder."""

from __future__ import annotations

import unicodedata
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Buckets = NDArray[np.intp]

CHARACTER_BUCKETS: Final = 1 << 15
WORD_BUCKETS: Final = 1 << 14
BUCKETS: Final = CHARACTER_BUCKETS + WORD_BUCKETS
CHARACTER_SIZES: Final = (2, 3, 4, 5)
MAX_CHARS: Final = 600
"""A message's intent shows early; what follows only costs time."""

_MULTIPLIER: Final = np.uint32(0x01000193)
_MIXER: Final = np.uint32(0x9E3779B1)
_QUOTES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u00b4": "'"})


def normalise(text: str) -> str:
    """Fold case, width and quotes, collapse white space, and keep the first `MAX_CHARS`; idempotent."""
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return " ".join(folded.lower().split())[:MAX_CHARS].rstrip()


def ngram_buckets(normalised: str) -> Buckets:
    """Return the distinct buckets of a normalised text's n-grams, ascending.

    Characters are UTF-8 bytes, words are separated by spaces; words and pairs of words have buckets of
    their own.
    """
    padded = f" {normalised} ".encode("utf-8", "replace")
    data = np.frombuffer(padded, dtype=np.uint8).astype(np.uint32)
    found = [*_character_hashes(data), _word_hashes(padded)]
    # np.unique does the same, but slower, and loads numpy.ma for it
    buckets = np.concatenate(found)
    buckets.sort()
    is_first = np.ones(len(buckets), dtype=np.bool_)
    np.not_equal(buckets[1:], buckets[:-1], out=is_first[1:])
    return buckets[is_first].astype(np.intp)


def _character_hashes(data: NDArray[np.uint32]) -> list[NDArray[np.uint32]]:
    rolling, hashes = data, []
    for size in range(2, CHARACTER_SIZES[-1] + 1):
        if len(data) < size:
            break
        rolling = rolling[:-1] * _MULTIPLIER + data[size - 1 :]
        mixed = (rolling + np.uint32(size)) * _MIXER
        hashes.append((mixed ^ (mixed >> np.uint32(15))) % np.uint32(CHARACTER_BUCKETS))
    return hashes


def _word_hashes(padded: bytes) -> NDArray[np.uint32]:
    words = padded.split()
    singles = [crc32(word) for word in words]
    pairs = [crc32(b" " + second, first) for first, second in zip(singles, words[1:], strict=False)]
    buckets = np.array(singles + pairs, dtype=np.uint32) % np.uint32(WORD_BUCKETS)
    return buckets + np.uint32(CHARACTER_BUCKETS)
