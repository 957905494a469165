"""What the words before a number say it is."""

from __future__ import annotations

import re
from typing import Literal

Topic = Literal["phone", "card", "ssn", "order", "tracking", "product", "price", "other_id"]

_VOCABULARY: dict[Topic, str] = {
    "phone": """phone phones call called calling calls telephone telephones tel mobile cell cellphone fax dial
        sms text texted whatsapp ring hotline landline voicemail messages answering reach reachable
        reached contact desk office handset""",
    "card": "card cards credit debit visa mastercard amex maestro cc ccn express",
    "ssn": "ssn ssns social",
    "order": "order orders purchase",
    "tracking": """
        track tracking tracked parcel parcels package packages shipment shipments shipped ups usps fedex
        dhl carrier consignment waybill delivery""",
    "product": """
        isbn isbns asin asins sku ean upc gtin item items product products book books edition editions
        barcode title titles""",
    "price": """volume volumes vol vols chapter chapters ch pages page pp usd price prices priced cost costs
        total dollars bundle issue issues part parts episode episodes season seasons year years version
        between""",
    "other_id": """
        invoice ref reference acct account npi mrn license licence passport policy case ticket zip
        serial routing aba member membership employee patient medical claim dea fein ein tin tax vin pin
        pan postal postcode aadhaar aadhar voter iban swift bic transaction confirmation""",
}
_WEAK = ("id", "ids", "record", "identification", "identity")
"""Words that say little: a telling one anywhere in reach comes first."""

_TOPICS: dict[str, Topic] = {
    word: topic for topic, vocabulary in _VOCABULARY.items() for word in vocabulary.split()
}
_LETTERS = re.compile(r"[a-z]+")


def topic_before(before: str) -> Topic | None:
    """Return what the nearest telling word before a number makes of it, or None."""
    if before.rstrip()[-1:] in ("$", "€", "£", "¥"):
        return "price"
    words = _LETTERS.findall(before.lower())
    for word in reversed(words):
        topic = _TOPICS.get(word)
        if topic is not None:
            return topic
    return "other_id" if any(word in _WEAK for word in words) else None


def attached_before(before: str) -> bool:
    """Whether a number is the tail of a longer id such as K932-778-3840."""
    last = before[-1:]
    if last in ("_", "#", "@"):
        return True
    return last in ("-", ".", "/") and before[-2:-1].isalnum()
