"""Hashed character and word n-grams: the features that need no encoder."""

from __future__ import annotations

import unicodedata
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Buckets = NDArray[np.intp]

CHARACTER_BUCKETS: Final = 1 << 15  # powers of two, so that a mask takes the remainder
WORD_BUCKETS: Final = 1 << 14
BUCKETS: Final = CHARACTER_BUCKETS + WORD_BUCKETS
CHARACTER_SIZES: Final = (2, 3, 4, 5)
MAX_CHARS: Final = 600
"""A message's intent shows early; what follows only costs time."""

_MULTIPLIER: Final = np.uint32(0x01000193)
_MIXER: Final = np.uint32(0x9E3779B1)
_SHIFT: Final = np.uint32(15)
_CHARACTER_MASK: Final = np.uint32(CHARACTER_BUCKETS - 1)
_WORD_MASK: Final = np.uint32(WORD_BUCKETS - 1)
_FIRST_WORD_BUCKET: Final = np.uint32(CHARACTER_BUCKETS)
_QUOTES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u00b4": "'"})


def normalise(text: str) -> str:
    """Fold case, width and quotes, collapse white space, and keep the first `MAX_CHARS`; idempotent."""
    folded = text
    if not text.isascii():
        # lone surrogates have no encoding, and no meaning either
        folded = text.encode("utf-8", "replace").decode("utf-8")
        folded = unicodedata.normalize("NFKC", folded).translate(_QUOTES)
    return " ".join(folded.lower().split())[:MAX_CHARS].rstrip()


def ngram_buckets(normalised: str) -> Buckets:
    """Return the distinct buckets of a normalised text's n-grams, ascending.

    Characters are UTF-8 bytes, words are separated by spaces; words and pairs of words have buckets of
    their own.
    """
    padded = f" {normalised} ".encode()
    found = np.concatenate((_character_hashes(padded), _word_hashes(padded)))
    found.sort()
    fresh = np.empty(len(found), dtype=np.bool_)
    fresh[0] = True
    np.not_equal(found[1:], found[:-1], out=fresh[1:])
    return found[fresh].astype(np.intp)


def _character_hashes(padded: bytes) -> NDArray[np.uint32]:
    """Hash every run of 2 to 5 bytes, each from the run that is one shorter."""
    data = np.frombuffer(padded, dtype=np.uint8).astype(np.uint32)
    rolling, hashes = data, []
    for size in CHARACTER_SIZES:
        if len(data) < size:
            break
        rolling = rolling[:-1] * _MULTIPLIER + data[size - 1 :]
        hashes.append(rolling + np.uint32(size))
    mixed = np.concatenate(hashes) * _MIXER
    mixed ^= mixed >> _SHIFT
    mixed &= _CHARACTER_MASK
    return mixed


def _word_hashes(padded: bytes) -> NDArray[np.uint32]:
    words = padded.split()
    singles = [crc32(word) for word in words]
    pairs = [crc32(b" " + second, first) for first, second in zip(singles, words[1:], strict=False)]
    buckets = np.array(singles + pairs, dtype=np.uint32)
    return (buckets & _WORD_MASK) + _FIRST_WORD_BUCKET
