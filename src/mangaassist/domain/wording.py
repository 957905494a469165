"""How the shop writes amounts, dates, counts and lists; pure, so that every voice agrees."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta

_SMALL_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def money(amount_usd: float) -> str:
    """Return a price: `$10.99`."""
    return f"${amount_usd:,.2f}"


def round_money(amount_usd: float) -> str:
    """Return a budget or threshold as people say it: `$20`, but `$12.50`."""
    return f"${amount_usd:,.0f}" if amount_usd == int(amount_usd) else money(amount_usd)


def day(value: date | datetime, *, now: datetime | None = None) -> str:
    """Return a date in words, without the year when it is the year of `now`."""
    text = f"{value:%B} {value.day}"
    return text if now is not None and now.year == value.year else f"{text}, {value.year}"


def last_day(ends_at: datetime) -> date:
    """Return the last day that lies before `ends_at`, as an offer's last day is named."""
    return (ends_at - timedelta(microseconds=1)).date()


def listed(items: Sequence[str], *, conjunction: str = "and") -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    if len(items) <= 1:
        return "".join(items)
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return `1 volume`, `12 volumes`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def in_words(count: int) -> str:
    """Return a small count as a word, a larger one in digits."""
    return _SMALL_NUMBERS[count] if 0 <= count < len(_SMALL_NUMBERS) else f"{count:,}"


def volume_range(covers: tuple[int, int]) -> str:
    """Return `volume 3` or `volumes 1–3`."""
    first, last = covers
    return f"volume {first}" if first == last else f"volumes {first}–{last}"


def with_article(noun_phrase: str) -> str:
    """Return the phrase after `a` or `an`."""
    return f"{'an' if noun_phrase[:1].lower() in tuple('aeiou') else 'a'} {noun_phrase}"


def capitalised(sentence: str) -> str:
    """Return the text with its first letter in upper case, the rest untouched."""
    return sentence[:1].upper() + sentence[1:]


def stable_choice(seed: str, count: int) -> int:
    """Return an index below `count` that is always the same for the same seed."""
    return zlib.crc32(seed.encode(errors="replace")) % count
