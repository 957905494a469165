"""Typed values in a text: amounts, dates, years, volumes, counts, product ids, availability, editions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mangaassist.domain.product_ids import isbn10_check_digit

ValueKind = Literal[
    "amount", "date", "year", "volumes", "count", "product_id", "stock", "edition", "rating", "percent",
    "reference",
]  # fmt: skip

_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_WORD_NUMBERS: Final = {
    word: number
    for number, word in enumerate(
        (
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ),
        start=1,
    )
} | {"single": 1}
_ORDINALS: Final = {
    word: number
    for number, word in enumerate(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), 1
    )
}
_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_NUMBER_WORD: Final = "|".join(_WORD_NUMBERS)
_LIST: Final = r"\d{1,4}(?:\s?(?:[-–—,&]|, and|to|through|and|or)\s?\d{1,4}(?!\d|\.\d))*"

_SCANNER: Final = re.compile(
    "|".join(
        (
            r"(?P<reference>(?<!\d)\d{3}-\d{7}-\d{7}(?!\d)|(?<!\d)\d{4}(?: \d{4}){3,}(?: \d{1,4})?(?!\d))",
            r"(?P<amount>(?:US)?\$\s?(?P<dollars>\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:\.\d{1,2})?)"
            r"|(?<![\d.,])(?P<worded>\d+(?:\.\d{2})?)\s?(?:USD|US dollars|dollars|bucks)\b)",
            r"(?P<percent>(?<![\d.])\d{1,3}(?:\.\d+)?\s?(?:%|percent\b))",
            r"(?P<product_id>(?<![\w-])(?:B0[0-9A-Z]{8}|97[89](?:-?\d){10}|\d{9}[\dXx]|\d(?:-\d{2,7}){2}-[\dXx])"
            r"(?![\w-]))",
            r"(?P<date>(?<!\d)(?P<iso>\d{4}-\d{2}-\d{2})(?!\d)"
            rf"|\b(?P<month1>{_MONTH})\.?\s(?P<day1>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s?%)(?:,?\s(?P<year1>\d{{4}})\b)?"
            rf"|\b(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?(?:\sof)?\s(?P<month2>{_MONTH})\b(?:,?\s(?P<year2>\d{{4}})\b)?"
            rf"|\b(?P<month3>{_MONTH})\.?,?\s(?P<year3>(?:19|20)\d{{2}})\b)",
            rf"(?P<volumes>(?i:\bvol(?:ume)?s?\.?|#)\s?(?P<numbers>{_LIST}))",
            rf"(?P<ordinal>(?i:\b(?P<nth>{'|'.join(_ORDINALS)}|\d{{1,3}}(?:st|nd|rd|th))\svolume\b))",
            rf"(?P<count>(?i:(?<![\d.,$–-])\b(?P<many>\d{{1,4}}|{_NUMBER_WORD})\s(?:[a-z-]+\s)?volumes?\b)"
            r"(?<!ingle volumes))",
            r"(?P<stock>(?i:\bnot (?:currently )?(?:in stock|available)\b|\bout of stock\b|\bsold out\b"
            r"|\bunavailable\b|\blast copy\b|\bfew copies\b|\bback-?ordered\b"
            r"|\bno (?:more )?copies\b|\bin stock\b|\bavailable (?:at once|now|immediately|to ship)\b"
            r"|\bready to ship\b|\b(?P<copies>\d{1,5}) (?:copies|copy)\b"
            r"|\bpre-?orders?\b))",
            r"(?P<edition>(?i:\bbox(?:ed)? sets?\b|\be-?books?\b|\bdigital\b|\bkindle\b|\bdeluxe\b"
            r"|\bhardcovers?\b|\bomnibus(?:es)?\b|\bpaperbacks?\b))",
            r"(?P<rating>(?i:\brated (?P<age>\d{1,2}\+|for all ages|all ages)))",
            r"(?P<year>(?<![\d$.,-])(?:19[4-9]\d|20[0-4]\d)(?![\d%]|[.,]\d|-\d)s?)",
        )
    )
)
# Where a value may begin: a sign, digits, or a word with one of these beginnings. Reading only there is four
# times as fast as trying the whole scanner everywhere.
_STARTS: Final = re.compile(r"[$#]|\d+|B0|(?<![A-Za-z\d])(?:[Ee]-[Bb]|[A-Za-z]{2,3})")
_BEGINNINGS: Final = {
    "vol", "not", "out", "sol", "una", "no", "in", "few", "ava", "rea", "las", "bac", "pre", "box", "e-b",
    "ebo", "dig", "kin", "del", "har", "omn", "pap", "rat", "us", "b0",
} | {word[:3] for word in (*_MONTHS, *_ORDINALS, *_WORD_NUMBERS)}  # fmt: skip
_STOCK_WORDS: Final = {
    "not in stock": "out", "out of stock": "out", "sold out": "out", "unavailable": "out", "no copies": "out",
    "no more copies": "out", "in stock": "in", "available at once": "in", "available now": "in",
    "available immediately": "in", "available to ship": "in", "ready to ship": "in",
    "last copy": "last", "few copies": "few",
}  # fmt: skip
_EDITIONS: Final = (
    ("box", "box_set"), ("e-b", "digital"), ("ebo", "digital"), ("dig", "digital"), ("kin", "digital"),
    ("del", "deluxe"), ("har", "deluxe"), ("omn", "omnibus"), ("pap", "paperback"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """One typed value.

    `value` is cents for amounts; (year, month, day) with None for what is left out for dates; numbers for
    volumes; the normalised id for product ids (`bad_check_digit` tells a wrong one); `in`, `out`, `few`,
    `last`, `backorder`, `preorder` or a number of copies for stock; the digits of order and tracking numbers.
    """

    kind: ValueKind
    start: int
    end: int
    value: object
    bad_check_digit: bool = False


def values_in(text: str) -> Iterator[Value]:
    """Yield the typed values of a text from left to right."""
    position = 0
    for start in _STARTS.finditer(text):
        if start.start() < position or not _may_begin(start.group()):
            continue
        match = _SCANNER.match(text, start.start())
        if match is None:
            continue
        position = match.end()
        # the last group to close is the outermost one: the alternative itself
        reader = _READERS.get(match.lastgroup or "")
        if reader is not None:
            yield reader(match)


def _may_begin(token: str) -> bool:
    return not token[0].isalpha() or token.lower() in _BEGINNINGS


def cents(amount: str) -> int:
    """Return the cents of `1,299.90`."""
    return round(float(amount.replace(",", "")) * 100)


def numbers_listed(text: str) -> tuple[int, ...]:
    """Return the numbers of `1`, `1, 2 and 3` or `1–8` (a range is written out)."""
    numbers: list[int] = []
    for part in re.split(r",|&|\band\b|\bor\b", text):
        ends = [int(number) for number in re.findall(r"\d+", part)]
        if len(ends) == 2 and ends[0] < ends[1] <= ends[0] + 2_000:
            numbers.extend(range(ends[0], ends[1] + 1))
        else:
            numbers.extend(ends)
    return tuple(dict.fromkeys(numbers))


def _amount(match: re.Match[str]) -> Value:
    return Value("amount", match.start(), match.end(), cents(match["dollars"] or match["worded"]))


def _date(match: re.Match[str]) -> Value:
    if match["iso"]:
        year, month, day = (int(part) for part in match["iso"].split("-"))
        return Value("date", match.start(), match.end(), (year, month, day))
    name = match["month1"] or match["month2"] or match["month3"]
    month = next(index for index, full in enumerate(_MONTHS, start=1) if full.startswith(name.lower()[:3]))
    written_day = match["day1"] or match["day2"]
    written_year = match["year1"] or match["year2"] or match["year3"]
    return Value(
        "date",
        match.start(),
        match.end(),
        (int(written_year) if written_year else None, month, int(written_day) if written_day else None),
    )


def _product_id(match: re.Match[str]) -> Value:
    digits = match.group().replace("-", "").upper()
    bad = False
    if digits.startswith("B0"):
        normal = digits
    elif len(digits) == 13:
        total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
        bad = total % 10 != 0
        normal = digits[3:12] + isbn10_check_digit(digits[3:12]) if digits.startswith("978") else digits
    else:
        normal = digits
        bad = isbn10_check_digit(digits[:9]) != digits[9]
    return Value("product_id", match.start(), match.end(), normal, bad_check_digit=bad)


def _volumes(match: re.Match[str]) -> Value:
    return Value("volumes", match.start(), match.end(), numbers_listed(match["numbers"]))


def _ordinal(match: re.Match[str]) -> Value:
    word = match["nth"].lower()
    number = _ORDINALS.get(word) or int(re.sub(r"\D", "", word))
    return Value("volumes", match.start(), match.end(), (number,))


def _count(match: re.Match[str]) -> Value:
    many = match["many"].lower()
    return Value("count", match.start(), match.end(), _WORD_NUMBERS.get(many) or int(many))


def _stock(match: re.Match[str]) -> Value:
    if match["copies"]:
        return Value("stock", match.start(), match.end(), int(match["copies"]))
    words = match.group().lower().replace("currently ", "")
    if words.startswith("pre"):
        state = "preorder"
    elif words.startswith("back"):
        state = "backorder"
    elif words.startswith("not"):
        state = "out"
    else:
        state = _STOCK_WORDS[words]
    return Value("stock", match.start(), match.end(), state)


def _edition(match: re.Match[str]) -> Value:
    words = match.group().lower()
    kind = next(kind for prefix, kind in _EDITIONS if words.startswith(prefix))
    return Value("edition", match.start(), match.end(), kind)


def _rating(match: re.Match[str]) -> Value:
    age = match["age"].lower()
    return Value("rating", match.start(), match.end(), age if age.endswith("+") else "all")


def _year(match: re.Match[str]) -> Value:
    return Value("year", match.start(), match.end(), int(match.group()[:4]))


def _reference(match: re.Match[str]) -> Value:
    return Value("reference", match.start(), match.end(), re.sub(r"\D", "", match.group()))


def _percent(match: re.Match[str]) -> Value:
    return Value("percent", match.start(), match.end(), float(re.sub(r"[^\d.]", "", match.group())))


_READERS: Final[Mapping[str, Callable[[re.Match[str]], Value]]] = {
    "amount": _amount,
    "percent": _percent,
    "product_id": _product_id,
    "date": _date,
    "volumes": _volumes,
    "ordinal": _ordinal,
    "count": _count,
    "stock": _stock,
    "edition": _edition,
    "rating": _rating,
    "year": _year,
    "reference": _reference,
}
