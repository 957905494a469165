"""Personal data of a fixed form, as scan rules: the same for whole texts and for streams."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address

from mangaassist.domain.check_digits import iban_valid
from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.serving.guardrails.personal_data.contexts import topic_before
from mangaassist.serving.guardrails.personal_data.numbers import NUMBER_RUN, judge_number
from mangaassist.serving.guardrails.scanning import Judgement, ScanRule

_LETTER = r"0-9A-Za-z\x{c0}-\x{1fff}"  # Latin, Greek, Cyrillic: cheaper to match than a Unicode class
_EMAIL = (
    rf"[{_LETTER}_][{_LETTER}._%+'-]{{0,63}}@(?:[{_LETTER}][{_LETTER}-]{{0,62}}\.){{1,5}}"
    r"[A-Za-z\x{c0}-\x{1fff}]{2,24}"
)
_TOP_LEVEL = (
    "com|org|net|edu|gov|info|biz|io|co|me|tv|app|dev|shop|store|online|site|xyz|example|eu|uk|us|ca|au|nz|ie|de|fr"
    "|es|it|nl|be|ch|at|se|no|dk|fi|is|pl|cz|sk|hu|ro|bg|gr|pt|ru|ua|tr|il|ae|za|in|jp|cn|kr|br|mx|ar|cl"
)
_URL_TAIL = r"[^\s<>\"'’”)\]}]"
_URL = (
    rf"(?i:\b(?:(?:https?|ftp)://|www\.){_URL_TAIL}{{1,400}})"
    rf"|(?i:\b(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,4}}(?:{_TOP_LEVEL})\b(?:/{_URL_TAIL}{{0,200}})?)"
)
_IBAN = r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,4})?\b"
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24,
    "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21,
    "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27,
    "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24,
    "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VG": 24,
    "XK": 20,
}  # fmt: skip
_IPV6 = r"\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,8}"
_PARCEL = (
    r"\b1Z ?[0-9A-Z]{3} ?[0-9A-Z]{3} ?[0-9A-Z]{2} ?[0-9A-Z]{4} ?[0-9A-Z]{4}\b"
    r"|\b[A-Z]{2} ?\d{3} ?\d{3} ?\d{3} ?[A-Z]{2}\b|\bTBA\d{9,15}\b|\bJD\d{16,18}\b"
)
_STREET_ADDRESS = (
    r"\b\d{1,5} (?:(?:[A-Z][A-Za-z'’.-]{0,24}|\d{1,3}(?:st|nd|rd|th)) ){1,3}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Way|Terrace|Square)\b"
    r"(?:,? (?:Apt|Apartment|Suite|Unit)\.? ?#?\d{1,5}\b)?"
)
_MASKED_CARD = r"\b\d{4}[ -]?[*xX•]{2,12}(?:[ -]?[*xX•]{4}){0,2}[ -]?\d{4}\b"
_MASKED_SSN = r"(?:XXX|xxx|\*\*\*)-(?:XX|xx|\*\*)-\d{4}\b"


def fixed_form_rules() -> tuple[ScanRule, ...]:
    """Return the rules; of several that match the same text the first counts."""
    return (
        ScanRule(id="asin", pattern=r"\bB0[0-9A-Z]{8}\b"),
        ScanRule(id="isbn", pattern=r"\b\d{9}[Xx]\b"),
        ScanRule(id="tracking_number", pattern=_PARCEL),
        ScanRule(id="email", pattern=_EMAIL),
        ScanRule(id="url", pattern=_URL, judge=_judge_url),
        ScanRule(id="iban", pattern=_IBAN, judge=_judge_iban),
        ScanRule(id="number", pattern=NUMBER_RUN, judge=judge_number),
        ScanRule(id="short_ip", pattern=r"\b\d{1,3}(?:\.\d{1,3}){3,7}\b", judge=judge_number),
        ScanRule(id="ip", pattern=_IPV6, judge=_judge_ipv6),
        ScanRule(id="address", pattern=_STREET_ADDRESS),
        ScanRule(id="card", pattern=_MASKED_CARD),
        ScanRule(id="ssn", pattern=_MASKED_SSN),
    )


def _judge_url(before: str, matched: str) -> Judgement:
    """A link without the punctuation of the sentence behind it."""
    kept = matched.rstrip(".,;:!?*_\\")
    if not kept:
        return Judgement(consumed=len(matched))
    return Judgement(parts=(FlaggedSpan(start=0, end=len(kept), kind="url"),), consumed=len(kept))


def _judge_iban(before: str, matched: str) -> Judgement:
    """An account number of its country's length, found among the words that follow it."""
    characters = [(index, character) for index, character in enumerate(matched) if character.isalnum()]
    compact = "".join(character for _, character in characters)
    lengths = [_IBAN_LENGTHS.get(compact[:2].upper(), 0)]
    if not lengths[0]:
        lengths = list(range(min(34, len(compact)), 14, -1))
    for length in lengths:
        if length > len(compact):
            continue
        end = characters[length - 1][0] + 1
        ends_here = end == len(matched) or not matched[end].isalnum()
        if ends_here and iban_valid(compact[:length]):
            return Judgement(parts=(FlaggedSpan(start=0, end=end, kind="iban"),), consumed=end)
    if topic_before(before) == "other_id" and "iban" in before.lower() and " " not in matched:
        return Judgement(parts=(FlaggedSpan(start=0, end=len(matched), kind="iban"),), consumed=len(matched))
    return Judgement(consumed=4)


def _judge_ipv6(before: str, matched: str) -> Judgement:
    """An IPv6 address; clock times and the like are none."""
    text = matched if matched.endswith("::") else matched.rstrip(":")
    try:
        IPv6Address(text)
    except AddressValueError:
        return Judgement(consumed=len(matched))
    return Judgement(parts=(FlaggedSpan(start=0, end=len(text), kind="ip"),), consumed=len(text))
