"""Recognisers of personal data with a fixed form; store ids win over look-alikes."""

from __future__ import annotations

import re2

from mangaassist.domain.guardrails import FlaggedSpan

_ORDER_ID = re2.compile(r"\b\d{3}-\d{7}-\d{7}\b")
_EMAIL = re2.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_CARD = re2.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_PHONE = re2.compile(
    r"(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\b\d{3}[ .-]\d{3}[ .-]\d{4})\b"
)
_ADDRESS = re2.compile(
    r"(?i)\b\d{1,5} (?:[a-z]+ ){1,3}"
    r"(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct)\b"
)


def luhn_valid(digits: str) -> bool:
    """Whether a string of digits ends in the right Luhn check digit."""
    total = 0
    for index, character in enumerate(reversed(digits)):
        value = int(character)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def find_personal_data(text: str, *, order_ids: bool = False) -> list[FlaggedSpan]:
    """Return the spans of e-mail addresses, phone and card numbers and street addresses.

    Order ids are never taken for phone or card numbers; with `order_ids` they are reported themselves.
    """
    orders = [
        FlaggedSpan(start=match.start(), end=match.end(), kind="order_id")
        for match in _ORDER_ID.finditer(text)
    ]
    found = list(orders) if order_ids else []
    taken = [(span.start, span.end) for span in orders]
    if "@" in text:
        taken += _collect(_EMAIL, "email", text, taken, found)
    for match in _CARD.finditer(text):
        digits = "".join(character for character in match.group() if character.isdigit())
        if luhn_valid(digits) and _free(match.start(), match.end(), taken):
            found.append(FlaggedSpan(start=match.start(), end=match.end(), kind="card"))
            taken.append((match.start(), match.end()))
    taken += _collect(_PHONE, "phone", text, taken, found)
    _collect(_ADDRESS, "address", text, taken, found)
    return sorted(found, key=lambda span: span.start)


def _collect(
    pattern: re2._Regexp, kind: str, text: str, taken: list[tuple[int, int]], found: list[FlaggedSpan]
) -> list[tuple[int, int]]:
    added = []
    for match in pattern.finditer(text):
        if _free(match.start(), match.end(), taken):
            found.append(FlaggedSpan(start=match.start(), end=match.end(), kind=kind))
            added.append((match.start(), match.end()))
    return added


def _free(start: int, end: int, taken: list[tuple[int, int]]) -> bool:
    return all(end <= other_start or other_end <= start for other_start, other_end in taken)
