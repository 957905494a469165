"""Phrases about series and offers that every kind of answer shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.wording import day, listed, money, volume_range, with_article

_GENRE_NOUNS = ("thriller", "mystery", "romance", "horror", "adventure", "comedy", "drama", "fantasy")
_GENRE_ADJECTIVES = {
    "historical": "historical", "sports": "sports", "psychological": "psychological",
    "supernatural": "supernatural", "sci-fi": "sci-fi", "horror": "horror", "fantasy": "fantasy",
    "slice of life": "slice-of-life", "comedy": "comic", "romance": "romantic", "action": "action",
}  # fmt: skip
_LANGUAGES = {"en": "English", "ja": "Japanese", "fr": "French", "de": "German", "es": "Spanish"}
_FORMATS = {"paperback": "paperback", "hardcover": "hardcover", "box_set": "a box set", "ebook": "e-book"}
_COMPARATIVES = {
    "dark": "darker", "tense": "tenser", "funny": "funnier", "cozy": "cozier", "creepy": "creepier",
    "grim": "grimmer", "quirky": "quirkier",
}  # fmt: skip
_FEW_COPIES = 5
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)]?\s+(?=[\"“‘(]?[A-Z0-9$])")
_ABBREVIATION = re.compile(r"(?:\b[ap]\.m|\b(?:Vol|No|St|Mr|Mrs|Dr|vs|e\.g|i\.e|U\.S))\.$")


def sentences(text: str) -> list[str]:
    """Split prose into sentences, verbatim; abbreviations do not end one."""
    pieces: list[str] = []
    for block in text.splitlines():
        start = 0
        for match in _SENTENCE_END.finditer(block):
            if _ABBREVIATION.search(block[: match.start()]):
                continue
            pieces.append(block[start : match.end()].strip())
            start = match.end()
        pieces.append(block[start:].strip())
    return [piece for piece in pieces if piece]


def genre_of(series: Series) -> str | None:
    """Return what kind of story it is: `psychological thriller`, `romantic comedy`; None when unknown."""
    genres = series.genres
    if not genres:
        return None
    if {"romance", "comedy"} <= set(genres):
        return "romantic comedy"
    noun = next((genre for genre in _GENRE_NOUNS if genre in genres), None)
    adjective = next(
        (word for genre, word in _GENRE_ADJECTIVES.items() if genre in genres and genre != noun), None
    )
    if noun is None:
        return f"{adjective or genres[0]} series"
    return f"{adjective} {noun}" if adjective else noun


def character_of(
    series: Series, *, leave_out: Iterable[str] = (), first: Iterable[str] = (), most: int = 2
) -> str | None:
    """Return mood and kind: `a tense, dark psychological thriller`; None when neither is known.

    Moods in `first` come first; one that the kind already says (`romantic romance`) is not said twice.
    """
    kind = genre_of(series)
    said = {"romantic"} if kind and "roman" in kind else set()
    said |= {"funny"} if kind and "com" in kind.split()[-1] else set()
    unwanted, wanted = {*leave_out, *said}, set(first)
    moods = sorted(
        (mood for mood in series.moods if mood not in unwanted), key=lambda mood: mood not in wanted
    )
    if kind is None and not moods:
        return None
    return with_article(f"{', '.join(moods[:most])} {kind or 'series'}".strip())


def think_of(series: Series, *, most: int = 2) -> str:
    """Return ` (think vikings and revenge)`, or nothing without themes: themes are bare words, not nouns."""
    return f" (think {', '.join(series.themes[:most])})" if series.themes else ""


def more(mood: str) -> str:
    """Return a mood in the comparative: `darker`, `more thoughtful`."""
    return _COMPARATIVES.get(mood, f"more {mood}")


def length_of(series: Series) -> str | None:
    """Return how long it is, as the end of `It is …`; None when nothing is known."""
    if series.status == "finished":
        if series.volumes is None:
            return "finished"
        return (
            "complete in a single volume" if series.volumes == 1 else f"finished in {series.volumes} volumes"
        )
    if series.status == "ongoing":
        return "still running"
    if series.status == "hiatus":
        return "on hiatus"
    if series.status == "cancelled":
        return "no longer continued"
    return None


def stocked_range(series: Series) -> str | None:
    """Return `volume 1` or `volumes 1–12`, what the shop keeps; None when unknown or nothing."""
    return volume_range((1, series.stocked_volumes)) if series.stocked_volumes else None


def language_name(code: str) -> str:
    """Return a language in English."""
    return _LANGUAGES.get(code, code)


def format_name(product: Product) -> str:
    """Return the format as the end of `in …` or `as …`."""
    return _FORMATS[product.format]


def offer_name(product: Product) -> str:
    """Return how to call a product of a series that was just named."""
    if product.kind in ("single", "digital") and product.volume is not None:
        name = f"volume {product.volume}"
        if product.kind == "digital":
            name += " as an e-book"
        return name if product.language == "en" else f"{name} in {language_name(product.language)}"
    return product.title


def availability(product: Product, now: datetime) -> str | None:
    """Return whether it can be had, as the end of `It is …`; None when the stock is unknown."""
    if product.release_date is not None and product.release_date > now.date():
        return f"a preorder, due on {day(product.release_date, now=now)}"
    if product.kind == "digital":
        return "available at once"
    if product.stock is None:
        return None
    if product.stock == 0:
        return "out of stock at the moment"
    if product.stock <= _FEW_COPIES:
        return (
            "in stock, but down to the last copy"
            if product.stock == 1
            else "in stock, with only a few copies left"
        )
    return "in stock"


def offer(product: Product, now: datetime) -> str:
    """Return name, price and availability as one clause without a full stop."""
    name, available = offer_name(product), availability(product, now)
    if product.price_usd is None and available is None:
        return f"I can see neither price nor stock of {name}"
    if product.price_usd is None:
        return f"{name} is {available}, though I can't see its price"
    if available is None:
        return f"{name} is {money(product.price_usd)}, though I can't see its stock"
    return f"{name} is {money(product.price_usd)} and {available}"


def starting_offer(products: Sequence[Product]) -> Product | None:
    """Return the offer to begin with: the first English print volume, else the first offer."""
    first_volumes = (
        product
        for product in products
        if product.volume == 1 and product.kind == "single" and product.language == "en"
    )
    return next(first_volumes, products[0] if products else None)


def by_authors(series: Series) -> str:
    """Return ` by A and B`, or nothing when unknown."""
    return f" by {listed(series.authors)}" if series.authors else ""
