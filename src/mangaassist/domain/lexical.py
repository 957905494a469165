"""Words and index terms of a text: folding, splitting, stemming. Documents and queries are read alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

STOP_WORDS: Final = frozenset((
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but",
    "by", "can", "could", "did", "do", "does", "doing", "for", "from", "get", "had", "has", "have", "he",
    "her", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "me", "my", "no", "not",
    "of", "on", "or", "our", "she", "so", "some", "such", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "to", "too", "up", "us", "was", "we", "were", "what", "when",
    "where", "which", "who", "whom", "why", "will", "with", "would", "you", "your",
))  # fmt: skip

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_APOSTROPHE = re.compile(r"['’]")
_DOUBLE_VOWEL = re.compile(r"([aeiou])\1+")
_VOWEL_RUN = re.compile(r"[aeiouy]")


def fold(text: str) -> str:
    """Lower-case, compatibility forms unified, accents and macrons dropped (`Tōkyō` → `tokyo`)."""
    if text.isascii():
        return text.lower()
    # twice, as Unicode's compatibility caseless match (D146): each step may make work for the other
    once = unicodedata.normalize("NFKD", text.casefold())
    decomposed = unicodedata.normalize("NFKD", once.casefold())
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark))


def words(text: str) -> list[str]:
    """Return the folded words in order; `'s` and apostrophes go, hyphens separate."""
    folded = fold(text)
    every: list[str] = _WORD.findall(folded)
    if _APOSTROPHE.search(folded) is None:
        return every
    found = []
    for word in every:
        if not word.isalnum():
            word = _APOSTROPHE.sub("", word[:-2] if word.endswith(("'s", "’s")) else word)
        found.append(word)
    return found


def content_words(text: str) -> list[str]:
    """Return the words that are not stop words; all of them when nothing else is there."""
    every = words(text)
    return [word for word in every if word not in STOP_WORDS] or every


def romaji_key(word: str) -> str:
    """Unify spellings of long vowels, so that `shounen` and `shonen`, `yuu` and `yu` share a key."""
    return _DOUBLE_VOWEL.sub(r"\1", word.replace("ou", "o"))


def near_spellings(word: str) -> Iterator[str]:
    """Yield every string one edit away (drop, swap, replace, insert a letter), nearest kinds first."""
    splits = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    letters = "abcdefghijklmnopqrstuvwxyz"
    for left, right in splits:
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]
    for left, right in splits:
        if right:
            yield left + right[1:]
    for left, right in splits:
        for letter in letters:
            yield left + letter + right
            if right:
                yield left + letter + right[1:]


def shortenings(word: str) -> set[str]:
    """Return the word and itself without one letter; two words a slip apart share one of these."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


# --- Porter's stemmer (M. F. Porter, "An algorithm for suffix stripping", 1980), steps 1a to 5b ---

_STEP_2: Final = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"),
    ("abli", "able"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"),
    ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive"),
    ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"),
)  # fmt: skip
_STEP_3: Final = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""),
    ("ness", ""),
)  # fmt: skip
_STEP_4: Final = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize",
    "ion", "al", "er", "ic", "ou",
)  # fmt: skip


@lru_cache(maxsize=65_536)  # pure and bounded; a text repeats few words, and a stem costs 30 µs
def stem(word: str) -> str:
    """Return Porter's stem of a folded word; words with digits or other scripts stay as they are."""
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return word
    word = _past_and_progressive(_plural(word))
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    word = _replace_suffix(word, _STEP_2)
    word = _replace_suffix(word, _STEP_3)
    word = _drop_suffix(word)
    return _tidy_end(word)


def _shape(word: str) -> str:
    """Map every letter to `v` or `c`; `y` is a vowel after a consonant."""
    shape = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and shape.endswith("c"))
        shape += "v" if vowel else "c"
    return shape


def _measure(word: str) -> int:
    """Number of vowel-consonant sequences, Porter's m."""
    return _shape(word).count("vc")


def _has_vowel(word: str) -> bool:
    return _VOWEL_RUN.search(word) is not None and "v" in _shape(word)


def _ends_short(word: str) -> bool:
    """Porter's *o: consonant, vowel, consonant other than w, x, y."""
    return _shape(word).endswith("cvc") and word[-1] not in "wxy"


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past_and_progressive(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            return _restore_end(base) if _has_vowel(base) else word
    return word


def _restore_end(base: str) -> str:
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if len(base) > 1 and base[-1] == base[-2] and base[-1] not in "aeioulsz":
        return base[:-1]
    return base + "e" if _measure(base) == 1 and _ends_short(base) else base


def _replace_suffix(word: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for suffix, replacement in pairs:
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            return base + replacement if _measure(base) > 0 else word
    return word


def _drop_suffix(word: str) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            if _measure(base) > 1 and (suffix != "ion" or base.endswith(("s", "t"))):
                return base
            return word
    return word


def _tidy_end(word: str) -> str:
    if word.endswith("e"):
        base = word[:-1]
        m = _measure(base)
        if m > 1 or (m == 1 and not _ends_short(base)):
            word = base
    if word.endswith("ll") and _measure(word) > 1:
        word = word[:-1]
    return word
