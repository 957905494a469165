"""Check digits of numbers that look alike: cards, bank accounts, books, parcels."""

from __future__ import annotations

from mangaassist.domain.product_ids import is_isbn10


def luhn_valid(digits: str) -> bool:
    """Whether a string of digits ends in the right Luhn check digit (ISO/IEC 7812-1)."""
    total = 0
    for index, character in enumerate(reversed(digits)):
        value = ord(character) - 48
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def iban_valid(text: str) -> bool:
    """Whether letters and digits without spaces are an IBAN: remainder 1 modulo 97 (ISO 13616)."""
    moved = (text[4:] + text[:4]).upper()
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def ean_valid(digits: str) -> bool:
    """Whether digits end in the right EAN check digit, weights 1 and 3 from the end (GS1)."""
    total = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(reversed(digits)))
    return total % 10 == 0


def isbn_valid(text: str) -> bool:
    """Whether digits (and a last X) without hyphens are an ISBN-10 or ISBN-13."""
    if len(text) == 13:
        return text.isdigit() and text[:3] in ("978", "979") and ean_valid(text)
    return is_isbn10(text.upper())


def postal_item_valid(digits: str) -> bool:
    """Whether the nine digits of an international postal item id check (UPU S10)."""
    weights = (8, 6, 4, 2, 3, 5, 9, 7)
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))
    check = 11 - total % 11
    return int(digits[8]) == {10: 0, 11: 5}.get(check, check)
