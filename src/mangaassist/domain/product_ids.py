"""The two forms of a product id: ISBN-10 of a printed book, ASIN of everything else."""

from __future__ import annotations

import re
from operator import mul

_ISBN10 = re.compile(r"[0-9]{9}[0-9X]")
_ASIN = re.compile(r"B0[0-9A-Z]{8}")
_WEIGHTS = tuple(range(10, 1, -1))
_ASCII_ZERO_SHARE = ord("0") * sum(_WEIGHTS)


def is_isbn10(text: str) -> bool:
    """Whether `text` is an ISBN-10 without hyphens whose check digit is right (ISO 2108:1992)."""
    return _ISBN10.fullmatch(text) is not None and isbn10_check_digit(text[:9]) == text[9]


def isbn10_check_digit(first_nine: str) -> str:
    """The tenth character: makes the sum of digits weighted 10 to 1 divisible by 11, X standing for 10."""
    weighted = sum(map(mul, _WEIGHTS, first_nine.encode("ascii"))) - _ASCII_ZERO_SHARE
    return "0123456789X"[-weighted % 11]


def is_asin(text: str) -> bool:
    """Whether `text` has the form of an ASIN that is not an ISBN: B0 and eight characters."""
    return _ASIN.fullmatch(text) is not None
