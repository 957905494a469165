"""What a run of digits is: order id, date, book, parcel, IP address, card, SSN or telephone number.

One maximal run of digit groups is judged as a whole, so that ids of the store win over what their
parts look like, and a longer number is never taken for a shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mangaassist.domain.check_digits import isbn_valid, luhn_valid
from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.serving.guardrails.personal_data.contexts import Topic, attached_before, topic_before
from mangaassist.serving.guardrails.personal_data.phone_numbers import (
    EXTENSION,
    is_international,
    is_national_form,
)
from mangaassist.serving.guardrails.scanning import Judgement

MAX_RUN_DIGITS = 40
LONGEST_NUMBER_DIGITS = 22  # a parcel's
NUMBER_RUN = (
    r"(?:\+ ?\(?|\(|\b)\d(?:[ ().\-/–‑\x{a0}]{0,3}\d){5,"
    + str(MAX_RUN_DIGITS - 1)
    + r"}(?: ?(?:x|ext\.?) ?\d{1,6})?(?:[ -](?i:office|fax|mobile|cell|desk|home))?\b"
)

_GROUP = re.compile(r"\d+")
_LABEL = re.compile(r"[ -][a-z]+\Z", re.IGNORECASE)
_BRANDS: Sequence[tuple[re.Pattern[str], frozenset[int]]] = (
    (re.compile(r"4"), frozenset({13, 16, 19})),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), frozenset({16})),
    (re.compile(r"3[47]"), frozenset({15})),
    (re.compile(r"30[0-5]|309|36|3[89]"), frozenset({14, 16})),
    (re.compile(r"6011|64[4-9]|65"), frozenset({16, 19})),
    (re.compile(r"35"), frozenset({16})),
    (re.compile(r"2131|1800"), frozenset({15})),
    (re.compile(r"62"), frozenset({16, 17, 18, 19})),
    (re.compile(r"50|5[6-8]|60|63|67|6[0-9]|06"), frozenset({12, 13, 14, 15, 16, 17, 18, 19})),
)
"""Issuer prefixes and lengths (ISO/IEC 7812 ranges of the networks); the last are debit cards."""

_STORE_TOPICS: frozenset[Topic] = frozenset({"order", "tracking", "product", "price", "other_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Digits without a separator, and what separates them from the next group."""

    start: int
    end: int
    digits: str
    gap: str


def judge_number(before: str, matched: str) -> Judgement:
    """Return what the run holds. A run of the greatest length is judged group by group."""
    label = _LABEL.search(matched)
    text = matched[: label.start()] if label is not None else matched
    extension = EXTENSION.search(text)
    groups = _groups(text[: extension.start()] if extension is not None else text)
    at_limit = sum(len(group.digits) for group in groups) >= MAX_RUN_DIGITS
    topic = topic_before(before) if label is None else "phone"
    run = _Run(
        text, groups, topic=topic, attached=attached_before(before), has_extension=extension is not None
    )
    parts = run.judge()
    consumed = len(matched)
    if at_limit and len(groups) > 1:
        # the run may go on: what begins early enough to end within it is known, the rest is looked at again
        settled = _behind(groups, MAX_RUN_DIGITS - LONGEST_NUMBER_DIGITS)
        parts = [part for part in parts if part.start < settled]
        consumed = max([settled, *(part.end for part in parts)])
    return Judgement(parts=tuple(parts), consumed=consumed)


def _behind(groups: Sequence[Group], digits: int) -> int:
    """Return the end of the last group that lies within the first digits, at least of the first group."""
    count, end = 0, groups[0].end
    for group in groups:
        count += len(group.digits)
        if count > digits:
            break
        end = group.end
    return end


def _groups(body: str) -> tuple[Group, ...]:
    found = list(_GROUP.finditer(body))
    ends = [match.start() for match in found[1:]] + [len(body)]
    return tuple(
        Group(start=match.start(), end=match.end(), digits=match.group(), gap=body[match.end() : following])
        for match, following in zip(found, ends, strict=True)
    )


class _Run:
    """One run while it is judged; `_free` are the groups that are nothing yet."""

    def __init__(
        self,
        text: str,
        groups: tuple[Group, ...],
        *,
        topic: Topic | None,
        attached: bool,
        has_extension: bool,
    ) -> None:
        self._text = text
        self._groups = groups
        self._free = [True] * len(groups)
        self._digits_before = (0, *accumulate(len(group.digits) for group in groups))
        self._has_extension = has_extension
        self._topic = topic
        self._attached = attached
        self._found: list[FlaggedSpan] = []

    def judge(self) -> list[FlaggedSpan]:
        if len(self._groups) == 1:
            kind = self._bare_kind()
            if kind is not None:
                self._take(0, 1, kind)
        else:
            self._judge_groups()
        return sorted(self._found, key=lambda span: span.start)

    def _judge_groups(self) -> None:
        """Judge several groups, ids of the store first; each kind only where its sizes occur."""
        sizes = [len(group.digits) for group in self._groups]
        count = sum(sizes)
        if count >= 20:
            self._judge_parcel()
        if 7 in sizes and count >= 17:
            self._each(3, self._is_order, "order_id")
        if len(sizes) >= 3:
            self._each(3, self._is_date, None)
        if count >= 10:
            self._judge_books()
        if len(sizes) >= 4 and "." in self._text:
            self._each(4, self._is_ip, "ip")
        if count >= 12:
            self._judge_cards()
        if count >= 9 and 2 in sizes:
            self._each(3, self._is_ssn, "ssn")
        self._judge_phones()

    def _bare_kind(self) -> str | None:
        """Return what a number without separators is: check digits and the words before it can tell."""
        digits, topic = self._groups[0].digits, self._topic
        size = len(digits)
        if self._attached:
            return None
        if self._text.startswith("+"):
            return "phone" if is_international(digits) else None
        if size == 17 and (topic == "order" or (digits[0] == "1" and topic not in ("card", "phone"))):
            return "order_id"
        if size >= 20 or (size >= 8 and topic == "tracking"):
            return "tracking_number"
        if size < 13 and topic in ("order", "price", "other_id"):
            return None
        if topic == "product" or (isbn_valid(digits) and topic not in ("phone", "card", "ssn")):
            return "isbn" if isbn_valid(digits) else None
        if self._is_card(0, 1):
            return "card"
        if size == 9 and topic == "ssn":
            return "ssn" if _ssn_possible(digits) else None
        return "phone" if 7 <= size <= 15 and (topic == "phone" or self._has_extension) else None

    def _each(self, size: int, test: Callable[[int, int], bool], kind: str | None) -> None:
        first = 0
        while first + size <= len(self._groups):
            if all(self._free[first : first + size]) and test(first, first + size):
                self._take(first, first + size, kind)
                first += size
            else:
                first += 1

    def _is_order(self, first: int, last: int) -> bool:
        sizes = tuple(len(group.digits) for group in self._groups[first:last])
        return sizes == (3, 7, 7) and self._gaps(first, last) <= {"-", " "} and self._stands_alone(first)

    def _is_date(self, first: int, last: int) -> bool:
        gaps = self._gaps(first, last)
        if len(gaps) != 1 or not gaps <= {"-", "/", "."}:
            return False
        one, two, three = (group.digits for group in self._groups[first:last])
        if len(one) == 4:
            return one[:2] in ("18", "19", "20") and _month_and_day(two, three)
        short = len(one) <= 2 and len(two) <= 2 and (len(three) == 4 or (len(three) == 2 and "/" in gaps))
        return short and (_month_and_day(one, two) or _month_and_day(two, one))

    def _is_ip(self, first: int, last: int) -> bool:
        groups = self._groups[first:last]
        if self._gaps(first, last) != {"."} or self._topic == "phone":
            return False
        # a version or a phone number goes on behind its fourth part
        if groups[-1].gap.startswith(".") and last < len(self._groups):
            return False
        return all(
            len(group.digits) <= 3 and int(group.digits) <= 255 and str(int(group.digits)) == group.digits
            for group in groups
        ) and not (first and self._groups[first - 1].gap == ".")

    def _is_ssn(self, first: int, last: int) -> bool:
        sizes = tuple(len(group.digits) for group in self._groups[first:last])
        if sizes != (3, 2, 4) or self._gaps(first, last) not in ({"-"}, {" "}):
            return False
        if (first and self._groups[first - 1].gap == "-") or (self._attached and not first):
            return False
        if self._gaps(first, last) == {" "} and self._topic != "ssn":
            return False
        digits = "".join(group.digits for group in self._groups[first:last])
        return self._topic not in _STORE_TOPICS and _ssn_possible(digits)

    def _judge_parcel(self) -> None:
        """Find a parcel's number: 20 to 22 digits, evenly spaced."""
        sizes = {len(group.digits) for group in self._groups[:-1]}
        count = sum(len(group.digits) for group in self._groups)
        if len(sizes) == 1 and 20 <= count <= 22 and len(self._gaps(0, len(self._groups))) == 1:
            self._take(0, len(self._groups), "tracking_number")

    def _judge_books(self) -> None:
        """Find hyphenated or spaced ISBNs: groups that together pass the check digit."""
        for first in range(len(self._groups)):
            for last in range(min(len(self._groups), first + 5), first + 1, -1):
                if self._count(first, last) not in (10, 13) or not all(self._free[first:last]):
                    continue
                digits = "".join(group.digits for group in self._groups[first:last])
                if self._gaps(first, last) not in ({"-"}, {" "}) or not isbn_valid(digits):
                    continue
                if len(digits) == 13 or self._topic == "product":
                    self._take(first, last, "isbn")
                    break

    def _judge_cards(self) -> None:
        for first in range(len(self._groups)):
            for last in range(min(len(self._groups), first + 6), first, -1):
                if self._count(first, last) < 12:
                    break
                if all(self._free[first:last]) and self._is_card(first, last):
                    self._take(first, last, "card")
                    break

    def _is_card(self, first: int, last: int) -> bool:
        if self._gaps(first, last) not in (set(), {" "}, {"-"}, {"\xa0"}):
            return False
        digits = "".join(group.digits for group in self._groups[first:last])
        if not 12 <= len(digits) <= 19 or len(set(digits)) < 2:
            return False
        asked = self._topic == "card"
        if not luhn_valid(digits):
            # a slip of the pen, where a card is spoken of
            return asked and len(digits) == 16 and digits[0] in "2345"
        # four digits to a group, or not grouped at all; debit cards only where a card is spoken of
        sizes = [len(group.digits) for group in self._groups[first:last]]
        if not asked and (self._topic in _STORE_TOPICS or (last - first > 1 and not _card_groups(sizes))):
            return False
        if last - first == 1 and len(digits) != 16 and not asked:
            # a carrier's number without letters has 12 to 15 digits too
            return False
        brands = _BRANDS if asked else _BRANDS[:-1]
        return any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in brands)

    def _judge_phones(self) -> None:
        first = 0
        while first < len(self._groups):
            last = self._phone_end(first)
            if last:
                self._take(first, last, "phone")
            first = last or first + 1

    def _phone_end(self, first: int) -> int:
        """Return behind which group the longest telephone number from `first` ends; 0 for none."""
        if not self._stands_alone(first) or not self._free[first]:
            return 0
        for last in range(min(len(self._groups), first + 6), first, -1):
            if self._count(first, last) < 6:
                break
            if not all(self._free[first:last]):
                continue
            # a number that goes on with a hyphen or a point is another number
            if last < len(self._groups) and self._groups[last - 1].gap in ("-", ".", "/"):
                continue
            if self._is_phone(first, last):
                return last
        return 0

    def _is_phone(self, first: int, last: int) -> bool:
        groups = self._groups[first:last]
        digits = "".join(group.digits for group in groups)
        if not 6 <= len(digits) <= 15:
            return False
        opening = self._text[: groups[0].start] if first == 0 else self._groups[first - 1].gap
        if "+" in opening:
            # the (0) of +41 (0)62 is dialled at home only
            return is_international("".join(group.digits for group in groups if group.digits != "0"))
        if self._topic in _STORE_TOPICS and "(" not in opening:
            return False
        form = opening[-1:].replace(" ", "") + self._text[groups[0].start : groups[-1].end]
        extended = self._has_extension and last == len(self._groups)
        return is_national_form(form, asked=self._topic == "phone" or extended)

    def _stands_alone(self, first: int) -> bool:
        """Whether nothing that belongs to a longer id stands right before a group."""
        if first == 0:
            return not self._attached
        return self._groups[first - 1].gap not in ("-", ".", "/")

    def _count(self, first: int, last: int) -> int:
        """How many digits some groups have together."""
        return self._digits_before[last] - self._digits_before[first]

    def _gaps(self, first: int, last: int) -> set[str]:
        return {group.gap for group in self._groups[first : last - 1]}

    def _take(self, first: int, last: int, kind: str | None) -> None:
        self._free[first:last] = [False] * (last - first)
        if kind is None:
            return
        start, end = self._groups[first].start, self._groups[last - 1].end
        if kind == "phone":
            opening = self._text[:start] if first == 0 else ""
            start -= len(opening) if "+" in opening or "(" in opening else 0
            if first and self._groups[first - 1].gap.endswith("("):
                start -= 1
            if last == len(self._groups) and self._has_extension:
                end = len(self._text)
        self._found.append(FlaggedSpan(start=start, end=end, kind=kind))


def _month_and_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _ssn_possible(digits: str) -> bool:
    """Whether area, group and serial number may be given out (SSA: no 000, 666, 9xx; no zeros)."""
    return (
        digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"
    )


def _card_groups(sizes: Sequence[int]) -> bool:
    return sizes in ([4, 6, 5], [4, 6, 4]) or (all(size == 4 for size in sizes[:-1]) and 1 <= sizes[-1] <= 4)
