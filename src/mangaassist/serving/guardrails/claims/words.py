"""Words of a text for grounding: tokens, light stems, numbers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(r"\$?\d+(?:[.,:]\d+)*%?|[A-Za-z]+(?:['’-][A-Za-z]+)*")
_NUMBER: Final = re.compile(r"\$?(\d+(?:[.,:]\d+)*)%?")
_NUMBER_WORDS: Final = {
    word: float(number)
    for number, word in enumerate(
        (
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
            "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
            "nineteen", "twenty",
        )
    )
} | {
    "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0,
    "ninety": 90.0, "hundred": 100.0, "thousand": 1_000.0, "million": 1_000_000.0, "first": 1.0,
    "second": 2.0, "third": 3.0, "half": 0.5, "once": 1.0, "twice": 2.0, "double": 2.0, "triple": 3.0,
    "dozen": 12.0,
}  # fmt: skip
# the first that fits and leaves three letters is replaced
_SUFFIXES: Final = (
    ("ization", "iz"), ("isation", "iz"), ("ational", "at"), ("fulness", "ful"), ("iveness", "ive"),
    ("ousness", "ous"), ("ements", "e"), ("ement", "e"), ("ments", ""), ("ment", ""), ("nesses", ""),
    ("ness", ""), ("ities", ""), ("ity", ""), ("ations", "at"), ("ation", "at"), ("ators", "at"),
    ("ator", "at"), ("ingly", ""), ("edly", ""), ("ings", ""), ("ing", ""), ("ies", "i"), ("ied", "i"),
    ("ively", "iv"), ("ives", "iv"), ("ive", "iv"), ("ally", "al"), ("ly", ""), ("ers", ""), ("er", ""),
    ("ors", ""), ("or", ""), ("ions", ""), ("ion", ""), ("es", ""), ("ed", ""), ("s", ""), ("e", ""),
    ("y", "i"),
)  # fmt: skip
_STEM_CHARS: Final = 9
STOP_WORDS: Final = frozenset(
    """a an the and or but of in on at to for from by with about as into over after before between through
    during is are was were be been being am do does did have has had having it its this that these those
    he she they them his her their we our us you your i my me who whom which what when where why how
    will would can could may might shall should must not no nor than then there here so such also just
    only own same too very s t re ve ll d m o y if while because until both each few more most other
    some any all up down out off again further once""".split()  # noqa: SIM905 - a paragraph of words reads better than a list
)


def placed_tokens(text: str) -> list[tuple[int, str]]:
    """Return words and numbers in order, each with where it begins."""
    return [(match.start(), match.group()) for match in _TOKEN.finditer(text)]


def content_stems(text: str) -> frozenset[str]:
    """Return the stems of the words that carry content."""
    return frozenset(stem(token) for token in _TOKEN.findall(text) if token.lower() not in STOP_WORDS)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a word without its common English endings, at most nine letters."""
    low = word.lower().replace("’", "'").removesuffix("'s")
    if len(low) <= 3:
        return low
    for suffix, kept in _SUFFIXES:
        if low.endswith(suffix) and len(low) - len(suffix) + len(kept) >= 3:
            low = low[: len(low) - len(suffix)] + kept
            break
    if len(low) > 3 and low[-1] == low[-2] and low[-1] not in "lsz":
        low = low[:-1]
    return low[:_STEM_CHARS]


@lru_cache(maxsize=65_536)
def number_of(token: str) -> float | None:
    """Return the number that a token or number word stands for."""
    low = token.lower()
    if low in _NUMBER_WORDS:
        return _NUMBER_WORDS[low]
    match = _NUMBER.fullmatch(low)
    if match is None:
        return None
    try:
        return float(match.group(1).replace(",", ""))
    except ValueError:  # 10:30 or 1.2.3: the digits as one number, so that only the same one is equal
        return float(re.sub(r"\D", "", low)) + 0.125
