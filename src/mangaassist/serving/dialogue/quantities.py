"""Numbers of a message: volumes, prices, ages, lengths and years."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mangaassist.serving.dialogue.words import NUMBER_WORDS, ORDINAL_WORDS

TITLE_MARK: Final = "\x01"  # stands for every character of a recognised title
SHORT_SERIES_VOLUMES: Final = 7
LONG_SERIES_VOLUMES: Final = 20
CLASSIC_UNTIL_YEAR: Final = 1999
RECENT_YEARS: Final = 4
CHILD_AGE, TEEN_AGE, ADULT_AGE = 10, 13, 18  # where the age ratings change
_AGE_HINTS: Final = ("kid", "child", "teen", "tween", "adult", "grown", "year", "age", "turn", "old")
_MAX_VOLUME: Final = 250

_N = r"(\d{1,4}(?:[.,]\d{1,2})?)"
_MONEY = r"\s*(?:\$|usd|dollars?|dollar|bucks?|eur|euros?|€|£|pounds?|quid)"
_WORD_NUMBER = "|".join(NUMBER_WORDS)
_ORDINAL = "|".join(ORDINAL_WORDS)
_VOLUME = r"(?:volumes?|vols?\.?|tankobons?|tankoubons?|books?|#|v\.)"
_COUNTED = r"(?:volumes?|vols?|books?|tomes?|tankobons?)"
_RELATIVE = (
    r"(?:sons?|daughters?|nieces?|nephews?|kids?|child|children|brothers?|sisters?|cousins?"
    r"|grand(?:son|daughter|child"
    r"|kids?)|students?|boys?|girls?|friend|one|he|she)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """What the numbers of one message say; None where it says nothing."""

    volumes: tuple[int, ...] = ()
    max_price_usd: float | None = None
    min_price_usd: float | None = None
    reader_age: int | None = None
    max_volumes: int | None = None
    min_volumes: int | None = None
    year_from: int | None = None
    year_to: int | None = None


class QuantityParser:
    """Reads numbers with their meaning from folded text whose titles are masked by `TITLE_MARK`."""

    def __init__(self) -> None:
        compile_ = re.compile
        self._volume_range = compile_(
            rf"\b{_VOLUME}\s*(\d{{1,3}})\s*(?:-|to|through|until|till|and|&)\s*(\d{{1,3}})\b"
        )
        self._volume = compile_(rf"(?:\b|(?<=\s)|^){_VOLUME}\s*(\d{{1,3}})\b(?!\s*{_COUNTED}\b)")
        self._volume_word = compile_(rf"\b(?:volume|vol\.?|book|tankobon)\s+({_WORD_NUMBER})\b")
        self._volume_ordinal = compile_(
            rf"\b(?:({_ORDINAL})|(\d{{1,3}})(?:st|nd|rd|th))\s+(?:volume|vol|book|tankobon)\b"
        )
        self._after_title = compile_(
            rf"{TITLE_MARK}(?:\s+(?:deluxe|omnibus|perfect edition|hardcover|box(?: set)?))?\s+(\d{{1,3}})"
            rf"(?:\s*-\s*(\d{{1,3}}))?\b(?!\s*(?:{_COUNTED}|%|years?|yrs?|st\b|nd\b|th\b)|{_MONEY}|[.,]\d)"
        )
        self._price_range = compile_(
            rf"(?:\$\s*{_N}\s*(?:-|to|and)\s*\$?\s*{_N})|(?:\b{_N}\s*(?:-|to|and)\s*{_N}{_MONEY}(?!\w))"
        )
        self._price_max = compile_(
            r"\b(?:under|below|less than|no more than|not more than|at most|up to|upto|max(?:imum)?"
            r"|within|cheaper than"
            rf"|beneath|<|not over|around|about|roughly)\s*(?:of\s+)?(\$?)\s*{_N}({_MONEY}(?!\w))?"
            r"(?!\s*(?:-|to)?\s*(?:volumes?|vols?|books?|tomes?|pages?|chapters?|years?|yrs?|yo\b|y/o"
            r"|minutes?|days?"
            r"|hours?|weeks?|months?|people|orders?|points?|s\b|%)|\d)"
        )
        self._price_min = compile_(
            rf"\b(?:over|above|more than|at least|from|min(?:imum)?)\s*(\$?)\s*{_N}({_MONEY}(?!\w))?"
        )
        self._budget = compile_(
            rf"(?:\bbudget\s*(?:is|of|:|=|to|around|about|now|then|at most|would be|at|under|like"
            rf"|went up|\s)*\$?\s*{_N})"
            rf"|(?:\$?\s*{_N}{_MONEY}?\s*(?:budget|max\b|tops|or less|or under|at most|limit))"
            rf"|(?:\b(?:i have|i've got|ive got|have only|only have|got|spend|make (?:it"
            rf"|that))\s+(?:only |about |up to )?"
            rf"(?:\$\s*{_N}|{_N}{_MONEY}(?!\w)))"
            rf"|\bmake (?:it|that)\s+(?:only |about |up to |under )?\$?\s*{_N}(?!\s*{_COUNTED}|\s*years?|\d)"
        )
        self._age = compile_(
            rf"\b(\d{{1,2}}|{_WORD_NUMBER})[\s-]*(?:-|\s)?(?:years?|yrs?|yr|y)[\s-]*(?:-|\s)?(?:olds?|o\b|/o)"
            rf"|\b(\d{{1,2}})\s*(?:yo|y\.o\.?|y/o)\b"
            rf"|\b(?:aged?|turns?|turning|turned|age of)\s+(\d{{1,2}}|{_WORD_NUMBER})\b"
            rf"|\b{_RELATIVE}\s*(?:is|'s|s|are|who is|who's|,|\()\s*(?:only |just |about )?(\d{{1,2}}"
            rf"|{_WORD_NUMBER})\b"
            rf"(?!\s*(?:{_COUNTED}|{_MONEY}|books?))"
            rf"|\bfor (?:a |an |my )?(\d{{1,2}}|{_WORD_NUMBER})[\s-]years?\b(?!\s*anniversary)"
        )
        self._child = compile_(
            r"\bfor (?:(?:a|an|my|our|the|his|her|small|young|little|younger)\s+)*(?:kids?|child"
            r"|children|kiddo)\b"
            r"|\b(?:kids?|children'?s?)'? (?:manga|comics?|books?|series|friendly|titles?)\b|\b(?:kid"
            r"|child)[\s-]?friendly\b"
            r"|\b(?:safe|suitable|ok|okay|appropriate|good) (?:for|4) (?:kids|children)\b"
        )
        self._teen = compile_(
            r"\bfor (?:(?:a|an|my|our|the|young)\s+)*(?:teens?|teenagers?|tweens?)\b|\bteen (?:boy"
            r"|girl|friendly)s?\b"
        )
        self._adult = compile_(
            r"\bfor (?:(?:an|a|my|the)\s+)?(?:adults?|grown[\s-]?ups?|adult (?:woman|man|reader))\b"
            r"|\badults only\b"
            r"|\badult readers?\b"
        )
        self._length_max = compile_(
            rf"\b(?:under|below|less than|fewer than|no more than|not more than|at most|up to"
            rf"|max(?:imum)?)\s*(?:of )?"
            rf"(\d{{1,3}}|{_WORD_NUMBER})\s*{_COUNTED}"
            rf"|\b(\d{{1,3}}|{_WORD_NUMBER})\s*{_COUNTED}\s*(?:or (?:less|fewer|under)|max|tops|at most)"
        )
        self._length_min = compile_(
            rf"\b(?:over|more than|at least|min(?:imum)?)\s*(\d{{1,3}}|{_WORD_NUMBER})\s*{_COUNTED}"
            rf"|\b(\d{{1,3}})\s*\+\s*{_COUNTED}|\b(\d{{1,3}}) or more {_COUNTED}"
        )
        self._one_volume = compile_(
            r"\bone[\s-]?shots?\b|\b(?:single|one|1)[\s-](?:volume|vol)\b(?! (?:of|is|in|only|has|to))"
            r"|\bstand[\s-]?alones?\b"
            r"|\bin one volume\b|\bjust one (?:book|volume)\b"
        )
        self._short = compile_(
            r"\b(?:short|shortish|quick|brief) (?:series|one|read|reads|manga|story|stories|ones"
            r"|run)\b|\bsomething short\b"
            r"|\b(?:shortish|not (?:too|so|very) long|not a long|nothing long|few volumes|and short)\b"
            r"|^short\b|\bbut short\b"
            r"|\bshort,|\bkeep it short\b"
        )
        self._long = compile_(
            r"\blong[\s-]?running\b|\b(?:long|lengthy) (?:series|one|epics?|manga|read|story|stories"
            r"|ones|running)\b"
            r"|\bsomething long\b"
        )
        self._decade = compile_(
            r"\b(?:(19|20)(\d)0'?s|'?([5-9]0|00|10|20)'?s)\b|\b(fifties|sixties|seventies|eighties"
            r"|nineties)\b"
        )
        self._year_from = compile_(r"\b(?:after|since|from|newer than|later than)\s+((?:19|20)\d\d)\b")
        self._year_to = compile_(r"\b(?:before|until|older than|up to|pre[\s-]?)\s*((?:19|20)\d\d)\b")
        self._year_in = compile_(r"\b(?:from|in|of|started in|the year)\s+((?:19|20)\d\d)\b")
        self._classic = compile_(
            r"\bclassics\b|\bclassic (?:manga|series|titles?|shou?jo|shou?nen|seinen|horror)\b"
            r"|\bold[\s-]?school\b"
        )
        self._recent = compile_(
            r"\b(?:recent|modern|newer|brand[\s-]new) (?:manga|series|titles?|ones?|stuff|stories"
            r"|releases?)\b"
            r"|\bsomething (?:recent|modern|newer|new-?ish)\b|\b(?:from|in) (?:the )?(?:last|recent"
            r"|past) (?:few |couple of )?years\b"
        )

    def parse(self, masked: str, *, this_year: int) -> Quantities:
        """Return the quantities of a folded, masked message."""
        has_digit = any(character.isdigit() for character in masked)
        low, high = self._prices(masked) if has_digit else (None, None)
        tells_length = has_digit or _any_in(
            masked, "vol", "book", "short", "long", "one", "stand", "quick", "brief"
        )
        shortest, longest = self._length(masked) if tells_length else (None, None)
        tells_years = has_digit or _any_in(
            masked, "ies", "classic", "recent", "new", "old", "modern", "years"
        )
        since, until = self._years(masked, this_year=this_year) if tells_years else (None, None)
        return Quantities(
            volumes=self._volumes(masked) if has_digit or _any_in(masked, "vol", "book", "tank") else (),
            min_price_usd=low,
            max_price_usd=high,
            reader_age=self._reader_age(masked) if has_digit or _any_in(masked, *_AGE_HINTS) else None,
            min_volumes=shortest,
            max_volumes=longest,
            year_from=since,
            year_to=until,
        )

    def _volumes(self, text: str) -> tuple[int, ...]:
        found: list[int] = []
        for match in self._volume_range.finditer(text):
            first, last = int(match[1]), int(match[2])
            found += range(first, last + 1) if first < last <= first + 50 else (first, last)
        if not found:
            found += (int(match[1]) for match in self._volume.finditer(text))
            found += (NUMBER_WORDS[match[1]] for match in self._volume_word.finditer(text))
            for match in self._volume_ordinal.finditer(text):
                found.append(ORDINAL_WORDS[match[1]] if match[1] else int(match[2]))
        if not found:
            for match in self._after_title.finditer(text):
                first, last = int(match[1]), int(match[2] or match[1])
                found += range(first, last + 1) if first <= last <= first + 50 else (first,)
        return tuple(dict.fromkeys(number for number in found if 0 <= number <= _MAX_VOLUME))

    def _prices(self, text: str) -> tuple[float | None, float | None]:
        match = self._price_range.search(text)
        if match:
            low, high = sorted(_amount(group) for group in match.groups() if group)
            return low, high
        match = self._budget.search(text)
        if match:
            return None, _positive(_amount(next(group for group in match.groups() if group)))
        for match in self._price_max.finditer(text):
            stands_for_age = not (match[1] or match[3]) and text[match.start() : match.start() + 5] in (
                "aroun",
                "about",
            )
            if not stands_for_age:
                return None, _positive(_amount(match[2]))
        match = self._price_min.search(text)
        if match and (match[1] or match[3]):
            return _positive(_amount(match[2])), None
        return None, None

    def _reader_age(self, text: str) -> int | None:
        ages = []
        for match in self._age.finditer(text):
            value = _number(next(group for group in match.groups() if group))
            if 2 <= value <= 99:
                ages.append(value)
        if ages:
            return min(ages)
        if self._child.search(text):
            return CHILD_AGE
        if self._teen.search(text):
            return TEEN_AGE
        return ADULT_AGE if self._adult.search(text) else None

    def _length(self, text: str) -> tuple[int | None, int | None]:
        match = self._length_max.search(text)
        if match:
            return None, max(1, _number(match[1] or match[2]))
        match = self._length_min.search(text)
        if match:
            return _number(next(group for group in match.groups() if group)), None
        if self._one_volume.search(text):
            return None, 1
        if self._short.search(text):
            return None, SHORT_SERIES_VOLUMES
        return (LONG_SERIES_VOLUMES, None) if self._long.search(text) else (None, None)

    def _years(self, text: str, *, this_year: int) -> tuple[int | None, int | None]:
        match = self._decade.search(text)
        if match:
            start = _decade_start(match)
            return start, start + 9
        since, until = self._year_from.search(text), self._year_to.search(text)
        if since or until:
            return (int(since[1]) if since else None), (int(until[1]) if until else None)
        match = self._year_in.search(text)
        if match:
            return int(match[1]), int(match[1])
        if self._classic.search(text):
            return None, CLASSIC_UNTIL_YEAR
        return (this_year - RECENT_YEARS, None) if self._recent.search(text) else (None, None)


def _any_in(text: str, *hints: str) -> bool:
    """Tell cheaply whether it is worth looking closer."""
    return any(hint in text for hint in hints)


def _decade_start(match: re.Match[str]) -> int:
    if match[1]:
        return int(f"{match[1]}{match[2]}0")
    if match[3]:
        short = int(match[3])
        return short + (2000 if short <= 20 else 1900)
    return {"fifties": 1950, "sixties": 1960, "seventies": 1970, "eighties": 1980, "nineties": 1990}[match[4]]


def _amount(text: str) -> float:
    return float(text.replace(",", "."))


def _positive(amount: float) -> float | None:
    return amount if amount > 0 else None


def _number(text: str) -> int:
    return NUMBER_WORDS[text] if text in NUMBER_WORDS else int(text)
