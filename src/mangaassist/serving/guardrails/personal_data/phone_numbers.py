"""Which digit groups are a telephone number; phonenumbers decides where a country code is given."""

from __future__ import annotations

import re

EXTENSION = re.compile(r" ?(?:x|ext\.?) ?\d{1,6}\Z")

_CLEAR = re.compile(
    r"(?:1[ .-])?\(?\d{3}\)?[ .-]{0,2}\d{3}[ .-]\d{4}"  # North America
    r"|(?:00|0)\d{1,3}[ .-]\d{3}[ .-]\d{3}[ .-]\d{4}"  # 001-253-366-9781
    r"|\(\d{2,5}\) ?\d{3,4}[ .-]?\d{3,4}"  # (35) 609-270, (08) 8747 6301
    r"|0\d{1,4}[ -]\d{6,8}|0\d{2,4} \d{3} \d{3,4}|0\d{1,2} \d{4} \d{4}"  # 0341 8387176, 085 175 7641
    r"|0\d{2,3}(?: \d{2,4}){2,4}|0\d(?:[ .]\d{2}){4}"  # 0487 98 11 92, 02.27.96.63.08
    r"|\d{2}(?:-\d{2}){3}"  # 28-64-66-98
    r"|\d{3}-\d{3}-\d{3}"
    r"|\d{3} \d{3} \d{2} \d{2}|\d{2} \d{3} \d{2} \d{2}|\d{2} \d{3} \d{3} \d{4}"
)
"""Forms that hardly anything but a telephone number has."""

_ASKED = re.compile(r"\(?\d{1,5}\)?(?:[ .-]{0,2}\d{2,8}){1,5}")
"""Forms that are one where a telephone is spoken of."""

_UNASKED = re.compile(r"\d{3} \d{3} \d{3}|\d{4} \d{4}|\d{3} \d{4}|\d{3}-\d{4}")


def is_international(digits: str) -> bool:
    """Whether digits behind a plus sign can be a telephone number of their country."""
    if not 8 <= len(digits) <= 15:
        return False
    # imported at the first number: its tables are large and most texts hold no number
    import phonenumbers

    try:
        number = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return False
    reason = phonenumbers.is_possible_number_with_reason(number)
    return reason in (
        phonenumbers.ValidationResult.IS_POSSIBLE,
        phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY,
    )


def is_national_form(text: str, *, asked: bool) -> bool:
    """Whether grouped digits have the form of a number without country code."""
    size = sum(character.isdigit() for character in text)
    if _CLEAR.fullmatch(text):
        return size >= 8
    return asked and size >= 6 and (_ASKED.fullmatch(text) or _UNASKED.fullmatch(text)) is not None
