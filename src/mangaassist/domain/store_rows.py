"""The row formats of a store pack: what each field accepts, and the record a valid row becomes.

`docs/reference/store-pack.md` documents the same formats for people. Rules are plain predicates in tables
because twelve thousand rows are checked at every start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, get_args

from mangaassist.domain.catalog import (
    AgeRating,
    Demographic,
    Edition,
    Product,
    ProductFormat,
    ProductKind,
    Series,
    SeriesStatus,
)
from mangaassist.domain.intents import Intent
from mangaassist.domain.product_ids import is_asin, is_isbn10
from mangaassist.domain.store import Article, Customer, Order, OrderItem, OrderState, Promotion

Row = Mapping[str, Any]
Accepts = Callable[[Any], bool]
Rules = Mapping[str, "FieldRule"]

EDITION_KINDS = ("box_set", "deluxe", "omnibus")
PROMOTION_KINDS = ("percent", "amount", "points", "bundle", "shipping")
ARTICLE_KINDS = ("faq", "policy")
FIRST_YEAR_RANGE = (1900, 2100)
DEFAULT_FORMAT: Mapping[str, ProductFormat] = MappingProxyType(
    {
        "single": "paperback",
        "digital": "ebook",
        "box_set": "box_set",
        "deluxe": "hardcover",
        "omnibus": "paperback",
    }
)
LANGUAGE_NOTE: Mapping[str, str] = MappingProxyType({"ja": "Japanese edition"})

_MISSING: Any = object()
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ORDER_ID = re.compile(r"\d{3}-\d{7}-\d{7}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]+")
_LOCALE = re.compile(r"[a-z]{2}-[A-Z]{2}")
_CODE = re.compile(r"[A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What one field accepts, in code and in words; `required` fields must be present, though maybe null."""

    accepts: Accepts
    expected: str
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """One field of one row that breaks its rule."""

    field: str
    message: str


def check_row(row: object, rules: Rules, *, allow_unknown: bool = False) -> list[FieldFault]:
    """Return every fault of `row`; an empty list promises that the record can be built."""
    if not isinstance(row, dict):
        return [FieldFault(field="-", message=f"expected a JSON object, got {_shown(row)}")]
    faults = []
    present = 0
    get = row.get
    for name, rule in rules.items():
        value = get(name, _MISSING)
        if value is _MISSING:
            if rule.required:
                faults.append(FieldFault(field=name, message=f"missing; expected {rule.expected}"))
            continue
        present += 1
        if not rule.accepts(value):
            faults.append(FieldFault(field=name, message=f"expected {rule.expected}, got {_shown(value)}"))
    if present != len(row) and not allow_unknown:
        faults.extend(
            FieldFault(field=str(name), message=f"unknown field; the fields are {', '.join(rules)}")
            for name in row
            if name not in rules
        )
    return faults


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def is_text(value: object) -> bool:
    """Whether `value` is a non-empty string without surrounding blanks."""
    return type(value) is str and value != "" and value.strip() == value


def _is_int(low: int, high: int) -> Accepts:
    return lambda value: type(value) is int and low <= value <= high


def _is_number(low: float, high: float) -> Accepts:
    return lambda value: (type(value) is float or type(value) is int) and low <= value <= high


def _is_money(value: object) -> bool:
    return (type(value) is float or type(value) is int) and 0 <= value <= 10_000 and round(value, 2) == value


def _is_bool(value: object) -> bool:
    return value is True or value is False


def _matches(pattern: re.Pattern[str]) -> Accepts:
    return lambda value: type(value) is str and pattern.fullmatch(value) is not None


def _one_of(values: tuple[str, ...]) -> Accepts:
    allowed = frozenset(values)
    return lambda value: type(value) is str and value in allowed


def _nullable(accepts: Accepts) -> Accepts:
    return lambda value: value is None or accepts(value)


def _list_of(accepts: Accepts, *, least: int = 0) -> Accepts:
    return lambda value: (
        type(value) is list
        and len(value) >= least
        and all(map(accepts, value))
        and (not value or type(value[0]) is not str or len(set(value)) == len(value))
    )


def _is_lower(value: object) -> bool:
    return type(value) is str and is_text(value) and value == value.lower()


def _is_range(value: object) -> bool:
    return type(value) is list and len(value) == 2 and all(map(_VOLUME, value)) and value[0] <= value[1]


def _is_date(value: object) -> bool:
    if type(value) is not str or len(value) != 10:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_instant(value: object) -> bool:
    if type(value) is not str:
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_product_id(value: object) -> bool:
    return type(value) is str and (is_isbn10(value) or is_asin(value))


def _object(rules: Rules) -> Accepts:
    return lambda value: not check_row(value, rules)


_VOLUME = _is_int(0, 2_000)  # some series begin with a volume 0
_IS_SLUG = _matches(_SLUG)
_SLUG_RULE = FieldRule(_IS_SLUG, "an id of lower-case letters, digits and single hyphens")
_TEXT_RULE = FieldRule(is_text, "a non-empty text")
_FLAG_RULE = FieldRule(_is_bool, "true or false")
_WORDS_RULE = FieldRule(_list_of(_is_lower), "a list of distinct lower-case texts")
_MONEY_RULE = FieldRule(_is_money, "US dollars with at most two decimals")
_MONEY_OR_NULL_RULE = FieldRule(_nullable(_is_money), "US dollars with at most two decimals, or null")
_DATE_OR_NULL_RULE = FieldRule(_nullable(_is_date), "a date YYYY-MM-DD or null")
_INSTANT_RULE = FieldRule(_is_instant, "an ISO time with a zone, such as 2026-11-01T00:00:00Z")
_INSTANT_OR_NULL_RULE = FieldRule(_nullable(_is_instant), "an ISO time with a zone, or null")
_TEXT_OR_NULL_RULE = FieldRule(_nullable(is_text), "a non-empty text or null")


def _choice(values: tuple[str, ...], *, nullable: bool = False, required: bool = True) -> FieldRule:
    accepts = _one_of(values)
    return FieldRule(
        _nullable(accepts) if nullable else accepts,
        f"one of {', '.join(values)}{' or null' if nullable else ''}",
        required,
    )


EDITION_RULES: Rules = MappingProxyType(
    {
        "kind": _choice(EDITION_KINDS),
        "name": _TEXT_RULE,
        "covers": FieldRule(_nullable(_is_range), "[first, last] volume or null"),
    }
)

SERIES_RULES: Rules = MappingProxyType(
    {
        "series_id": _SLUG_RULE,
        "title": _TEXT_RULE,
        "alt_titles": FieldRule(_list_of(is_text), "a list of distinct texts"),
        "authors": FieldRule(_list_of(is_text, least=1), "a list of distinct names, 'Given Family'"),
        "demographic": _choice(get_args(Demographic), nullable=True),
        "genres": FieldRule(
            _list_of(_is_lower, least=1), "a list of distinct lower-case texts, at least one"
        ),
        "themes": _WORDS_RULE,
        "moods": _WORDS_RULE,
        "first_year": FieldRule(
            _nullable(_is_int(*FIRST_YEAR_RANGE)), "a year from {} to {} or null".format(*FIRST_YEAR_RANGE)
        ),
        "status": _choice(get_args(SeriesStatus), nullable=True),
        "volumes": FieldRule(_nullable(_is_int(1, 2_000)), "a number of volumes or null"),
        "stocked_volumes": FieldRule(_nullable(_is_int(0, 2_000)), "a number of volumes or null"),
        "age_rating": _choice(get_args(AgeRating), nullable=True),
        "anime": FieldRule(_nullable(_is_bool), "true, false or null"),
        "editions": FieldRule(
            _list_of(_object(EDITION_RULES)),
            f"a list of {{kind: {'/'.join(EDITION_KINDS)}, name, covers: [first, last] or null}}",
        ),
        "similar": FieldRule(_list_of(_IS_SLUG), "a list of distinct series ids"),
        "description": _TEXT_OR_NULL_RULE,
    }
)

PRODUCT_RULES: Rules = MappingProxyType(
    {
        "product_id": FieldRule(_is_product_id, "an ISBN-10 with a valid check digit or an ASIN B0XXXXXXXX"),
        "series_id": _SLUG_RULE,
        "kind": _choice(get_args(ProductKind)),
        "volume": FieldRule(_nullable(_VOLUME), "a volume number or null", required=False),
        "title": FieldRule(is_text, "a non-empty text", required=False),
        "format": _choice(get_args(ProductFormat), required=False),
        "language": FieldRule(_matches(re.compile("[a-z]{2}")), "a two-letter language", required=False),
        "covers": FieldRule(_nullable(_is_range), "[first, last] volume or null", required=False),
        "price_usd": _MONEY_OR_NULL_RULE,
        "stock": FieldRule(_nullable(_is_int(0, 100_000)), "a number of copies or null"),
        "release_date": _DATE_OR_NULL_RULE,
    }
)

ARTICLE_RULES: Rules = MappingProxyType(
    {
        "article_id": _SLUG_RULE,
        "kind": _choice(ARTICLE_KINDS),
        "title": _TEXT_RULE,
        "questions": FieldRule(_list_of(is_text, least=1), "a list of distinct questions, at least one"),
        "body": _TEXT_RULE,
        "topics": _WORDS_RULE,
        "effective_from": _DATE_OR_NULL_RULE,
        "updated_at": _DATE_OR_NULL_RULE,
    }
)

APPLIES_TO_RULES: Rules = MappingProxyType(
    {
        "kinds": FieldRule(_list_of(_one_of(get_args(ProductKind))), "a list of product kinds"),
        "genres": _WORDS_RULE,
        "series_ids": FieldRule(_list_of(_IS_SLUG), "a list of distinct series ids"),
    }
)

PROMOTION_RULES: Rules = MappingProxyType(
    {
        "promotion_id": _SLUG_RULE,
        "title": _TEXT_RULE,
        "body": _TEXT_RULE,
        "kind": _choice(PROMOTION_KINDS),
        "value": FieldRule(_nullable(_is_number(0, 100_000)), "a number or null"),
        "code": FieldRule(_nullable(_matches(_CODE)), "upper-case letters and digits, or null"),
        "starts_at": _INSTANT_RULE,
        "ends_at": _INSTANT_OR_NULL_RULE,
        "min_order_usd": _MONEY_OR_NULL_RULE,
        "applies_to": FieldRule(_object(APPLIES_TO_RULES), "{kinds: [], genres: [], series_ids: []}"),
        "members_only": _FLAG_RULE,
        "stackable": _FLAG_RULE,
    }
)

CUSTOMER_RULES: Rules = MappingProxyType(
    {
        "customer_id": _SLUG_RULE,
        "name": _TEXT_RULE,
        "email": FieldRule(_matches(_EMAIL), "an e-mail address"),
        "member": _FLAG_RULE,
        "points": FieldRule(_is_int(0, 10_000_000), "a number of points"),
        "birth_year": FieldRule(_nullable(_is_int(1900, 2100)), "a year or null"),
        "locale": FieldRule(_matches(_LOCALE), "a locale such as en-US"),
        "favourite_series": FieldRule(_list_of(_IS_SLUG), "a list of distinct series ids"),
        "address_city": _TEXT_OR_NULL_RULE,
    }
)

ORDER_ITEM_RULES: Rules = MappingProxyType(
    {
        "title": _TEXT_RULE,
        "series_id": _SLUG_RULE,
        "volume": FieldRule(_nullable(_VOLUME), "a volume number or null"),
        "kind": _choice(get_args(ProductKind)),
        "quantity": FieldRule(_is_int(1, 1_000), "a number of copies from 1"),
        "price_usd": _MONEY_RULE,
    }
)

ORDER_RULES: Rules = MappingProxyType(
    {
        "order_id": FieldRule(_matches(_ORDER_ID), "three groups of 3, 7 and 7 digits joined by hyphens"),
        "customer_id": _SLUG_RULE,
        "state": _choice(get_args(OrderState)),
        "placed_at": _INSTANT_RULE,
        "updated_at": _INSTANT_RULE,
        "items": FieldRule(
            _list_of(_object(ORDER_ITEM_RULES), least=1),
            f"a list of items with the fields {', '.join(ORDER_ITEM_RULES)}",
        ),
        "total_usd": _MONEY_RULE,
        "shipping_usd": _MONEY_RULE,
        "carrier": _TEXT_OR_NULL_RULE,
        "tracking_number": _TEXT_OR_NULL_RULE,
        "estimated_delivery": _DATE_OR_NULL_RULE,
        "delivered_at": _INSTANT_OR_NULL_RULE,
        "return_reason": _TEXT_OR_NULL_RULE,
        "refund_usd": _MONEY_OR_NULL_RULE,
        "status_note": _TEXT_OR_NULL_RULE,
    }
)

UTTERANCE_RULES: Rules = MappingProxyType(
    {
        "text": FieldRule(lambda value: type(value) is str and value.strip() != "", "a non-blank text"),
        "intent": _choice(tuple(str(intent) for intent in Intent)),
    }
)


def series_from_row(row: Row, *, source: str = "pack") -> Series:
    """Build the series of a row that `check_row` found without fault."""
    return Series(
        series_id=row["series_id"],
        title=row["title"],
        alt_titles=tuple(row["alt_titles"]),
        authors=tuple(row["authors"]),
        demographic=row["demographic"],
        genres=tuple(row["genres"]),
        themes=tuple(row["themes"]),
        moods=tuple(row["moods"]),
        first_year=row["first_year"],
        status=row["status"],
        volumes=row["volumes"],
        stocked_volumes=row["stocked_volumes"],
        age_rating=row["age_rating"],
        anime=row["anime"],
        editions=tuple(
            Edition(kind=edition["kind"], name=edition["name"], covers=_pair(edition["covers"]))
            for edition in row["editions"]
        ),
        similar=tuple(row["similar"]),
        description=row["description"],
        source=source,
    )


def product_from_row(row: Row, *, series_title: str, only_volume: bool) -> Product:
    """Build a product; what the row leaves out follows from its kind, volume and series."""
    kind = row["kind"]
    language = row.get("language", "en")
    volume = row.get("volume")
    released = row["release_date"]
    return Product(
        product_id=row["product_id"],
        series_id=row["series_id"],
        title=row.get("title")
        or volume_title(series_title, volume=None if only_volume else volume, kind=kind, language=language),
        kind=kind,
        format=row.get("format") or DEFAULT_FORMAT[kind],
        language=language,
        volume=volume,
        covers=_pair(row.get("covers")),
        price_usd=row["price_usd"],
        stock=row["stock"],
        release_date=None if released is None else date.fromisoformat(released),
    )


def volume_title(series_title: str, *, volume: int | None, kind: str, language: str) -> str:
    """The title of a product whose row gives none: 'Monster, Vol. 3 (Digital)'."""
    title = series_title if volume is None else f"{series_title}, Vol. {volume}"
    if kind == "digital":
        title += " (Digital)"
    if language != "en":
        title += f" ({LANGUAGE_NOTE.get(language, language)})"
    return title


def article_from_row(row: Row) -> Article:
    """Build the article of a valid row."""
    return Article(
        article_id=row["article_id"],
        kind=row["kind"],
        title=row["title"],
        questions=tuple(row["questions"]),
        body=row["body"],
        topics=tuple(row["topics"]),
        effective_from=_date(row["effective_from"]),
        updated_at=_date(row["updated_at"]),
    )


def promotion_from_row(row: Row) -> Promotion:
    """Build the promotion of a valid row."""
    applies_to = row["applies_to"]
    return Promotion(
        promotion_id=row["promotion_id"],
        title=row["title"],
        body=row["body"],
        kind=row["kind"],
        starts_at=datetime.fromisoformat(row["starts_at"]),
        ends_at=_instant(row["ends_at"]),
        value=row["value"],
        code=row["code"],
        min_order_usd=row["min_order_usd"],
        applies_to_kinds=tuple(applies_to["kinds"]),
        applies_to_genres=tuple(applies_to["genres"]),
        applies_to_series=tuple(applies_to["series_ids"]),
        members_only=row["members_only"],
        stackable=row["stackable"],
    )


def customer_from_row(row: Row) -> Customer:
    """Build the customer of a valid row."""
    return Customer(
        customer_id=row["customer_id"],
        name=row["name"],
        email=row["email"],
        member=row["member"],
        points=row["points"],
        birth_year=row["birth_year"],
        locale=row["locale"],
        favourite_series=tuple(row["favourite_series"]),
        address_city=row["address_city"],
    )


def order_from_row(row: Row) -> Order:
    """Build the order of a valid row."""
    return Order(
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        state=row["state"],
        placed_at=datetime.fromisoformat(row["placed_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        items=tuple(OrderItem(**item) for item in row["items"]),
        total_usd=row["total_usd"],
        shipping_usd=row["shipping_usd"],
        carrier=row["carrier"],
        tracking_number=row["tracking_number"],
        estimated_delivery=_date(row["estimated_delivery"]),
        delivered_at=_instant(row["delivered_at"]),
        return_reason=row["return_reason"],
        refund_usd=row["refund_usd"],
        status_note=row["status_note"],
    )


def _pair(value: list[int] | None) -> tuple[int, int] | None:
    return None if value is None else (value[0], value[1])


def _date(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)


def _instant(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
