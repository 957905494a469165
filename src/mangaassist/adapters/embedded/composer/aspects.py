"""One renderer for each aspect of a series that can be asked about; an unknown fact is said to be unknown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mangaassist.adapters.embedded.composer.phrasing import (
    availability,
    character_of,
    format_name,
    genre_of,
    language_name,
    length_of,
    offer,
    offer_name,
    starting_offer,
    stocked_range,
    think_of,
)
from mangaassist.domain.catalog import Edition, Product, Series
from mangaassist.domain.dialogue import Aspect, Constraints
from mangaassist.domain.wording import capitalised, day, listed, money, volume_range

_ASKS_FOR_THE_END = re.compile(r"\b(?:finish\w*|complete\w*|over|ended?|done|concluded)\b", re.IGNORECASE)
_ASKS_FOR_THE_NEXT = re.compile(r"\b(?:next|newest|upcoming)\b", re.IGNORECASE)
_MAX_OFFERS = 3
_MAX_EDITIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A series, the offers that were asked about, and when."""

    series: Series
    products: tuple[Product, ...]
    volumes: tuple[int, ...]
    constraints: Constraints
    similar_titles: tuple[str, ...]
    question: str
    now: datetime

    @property
    def meant(self) -> tuple[Product, ...]:
        """The offers meant by the question: the volumes asked for, else the one to begin with."""
        asked = tuple(product for product in self.products if product.volume in self.volumes)
        if self.volumes:
            prints = tuple(
                product for product in asked if product.kind == "single" and product.language == "en"
            )
            return prints if prints and not self._special else asked
        if self._special:
            special = tuple(product for product in self.products if self._fits(product))
            if special:
                return special[:_MAX_OFFERS]
        start = starting_offer(self.products)
        return (start,) if start else ()

    @property
    def missing_volumes(self) -> tuple[int, ...]:
        """Volumes that were asked for and are not among the offers."""
        offered = {product.volume for product in self.products}
        return tuple(volume for volume in self.volumes if volume not in offered)

    @property
    def _special(self) -> bool:
        constraints = self.constraints
        return bool(constraints.kind or constraints.format or constraints.language)

    def _fits(self, product: Product) -> bool:
        wanted = self.constraints
        return (
            wanted.kind in (None, product.kind)
            and wanted.format in (None, product.format)
            and wanted.language in (None, product.language)
        )


Renderer = Callable[[Inquiry], str | None]


def price(inquiry: Inquiry) -> str:
    """Answer what it costs."""
    offers = inquiry.meant
    if not offers:
        return f"I have no offer for {_what(inquiry)}, so I can't name a price."
    if len(offers) == 1 and offers[0].price_usd is None:
        return f"I can't see a price for {_named(inquiry, offers[0])} at the moment."
    clauses = [_priced(product) for product in offers[:_MAX_OFFERS]]
    return f"{_of_title(inquiry, clauses[0])}{''.join(f', {clause}' for clause in clauses[1:])}."


def stock(inquiry: Inquiry) -> str:
    """Answer whether it can be had now."""
    offers = inquiry.meant
    if not offers:
        return f"I have no offer for {_what(inquiry)} at the moment."
    if len(offers) == 1 and availability(offers[0], inquiry.now) is None:
        return f"I can't see at the moment whether {_named(inquiry, offers[0])} is in stock."
    clauses = [_stocked(product, inquiry.now) for product in offers[:_MAX_OFFERS]]
    return f"{_of_title(inquiry, clauses[0])}{''.join(f', {clause}' for clause in clauses[1:])}."


def price_and_stock(inquiry: Inquiry) -> str:
    """Answer both at once."""
    offers = inquiry.meant
    if not offers:
        return f"I have no offer for {_what(inquiry)} at the moment."
    clauses = [offer(product, inquiry.now) for product in offers[:_MAX_OFFERS]]
    return f"{_of_title(inquiry, clauses[0])}{''.join(f'; {clause}' for clause in clauses[1:])}."


def volumes(inquiry: Inquiry) -> str:
    """Answer how many volumes there are."""
    series, shelf = inquiry.series, stocked_range(inquiry.series)
    if series.volumes is not None:
        if series.volumes == 1:
            return f"{series.title} is complete in a single volume."
        finished = "finished, and runs to" if series.status == "finished" else "at"
        have = f"; we stock {shelf}" if shelf and series.stocked_volumes != series.volumes else ""
        return f"{series.title} is {finished} {series.volumes} volumes{have}."
    state = {
        "ongoing": f"{series.title} is still running, so there is no final count",
        "hiatus": f"{series.title} is on hiatus, so there is no final count",
        "finished": f"{series.title} is finished, but I don't have its number of volumes",
        "cancelled": f"{series.title} was discontinued, and I don't have its number of volumes",
    }.get(series.status or "", f"I don't know how many volumes {series.title} has")
    return f"{state}; we stock {shelf}." if shelf else f"{state}."


def author(inquiry: Inquiry) -> str:
    """Answer who made it."""
    if not inquiry.series.authors:
        return f"I don't have the author of {inquiry.series.title} on record."
    return f"{inquiry.series.title} is by {listed(inquiry.series.authors)}."


def status(inquiry: Inquiry) -> str:
    """Answer whether it is finished."""
    series, shelf = inquiry.series, stocked_range(inquiry.series)
    if series.status is None:
        return f"I don't know whether {series.title} is finished."
    asks = _ASKS_FOR_THE_END.search(inquiry.question) is not None
    if series.status == "finished":
        count = (
            ""
            if series.volumes is None
            else f", complete in {'a single volume' if series.volumes == 1 else f'{series.volumes} volumes'}"
        )
        return f"{'Yes, ' if asks else ''}{series.title} is finished{count}."
    reply = {
        "ongoing": f"{'Not yet: ' if asks else ''}{series.title} is still running",
        "hiatus": f"{'Not yet: ' if asks else ''}{series.title} is on hiatus",
        "cancelled": f"{series.title} was discontinued before its end",
    }[series.status]
    return f"{reply}; we stock {shelf}." if shelf else f"{reply}."


def formats(inquiry: Inquiry) -> str:
    """Answer in which formats it can be bought."""
    found = list(dict.fromkeys(format_name(product) for product in inquiry.products))
    if not found:
        return f"I have no format on record for {inquiry.series.title}."
    wanted = inquiry.constraints.format
    if wanted is not None and all(product.format != wanted for product in inquiry.products):
        return f"We don't have {inquiry.series.title} in that format; it comes as {listed(found)}."
    return f"{inquiry.series.title} comes as {listed(found)}."


def release_date(inquiry: Inquiry) -> str:
    """Answer when it came or comes out."""
    today = inquiry.now.date()
    dated = [(product, product.release_date) for product in inquiry.meant if product.release_date is not None]
    if _ASKS_FOR_THE_NEXT.search(inquiry.question) and not inquiry.volumes:
        offers = [(product, product.release_date) for product in inquiry.products]
        dated = [(product, when) for product, when in offers if when is not None and when > today]
        if not dated:
            return f"I have no date for the next volume of {inquiry.series.title}."
    if not dated:
        return f"I have no release date for {_what(inquiry)}."
    clauses = [
        f"{offer_name(one)} {'comes out' if when > today else 'went on sale'} on {day(when, now=inquiry.now)}"
        for one, when in dated[:_MAX_OFFERS]
    ]
    return f"{_of_title(inquiry, clauses[0])}{''.join(f', {clause}' for clause in clauses[1:])}."


def age_rating(inquiry: Inquiry) -> str:
    """Answer for whom it is suitable."""
    series, age = inquiry.series, inquiry.constraints.reader_age
    if series.age_rating is None or series.min_age is None:
        return f"{series.title} has no age rating on record, so I can't promise that it suits a child."
    rating = f"{series.title} is rated {'for all ages' if series.age_rating == 'all' else series.age_rating}"
    if age is None:
        return f"{rating}."
    if age >= series.min_age:
        return f"{rating}, so it is fine at {age}."
    return f"{rating}, so I would not give it to a {age}-year-old."


def anime(inquiry: Inquiry) -> str:
    """Answer whether there is an anime."""
    known = {
        True: "Yes, {} has an anime.",
        False: "No, {} has no anime.",
        None: "I don't know whether {} has an anime.",
    }
    return known[inquiry.series.anime].format(inquiry.series.title)


def summary(inquiry: Inquiry) -> str:
    """Answer what it is about."""
    series = inquiry.series
    if series.description:
        return f"{series.title}: {series.description}"
    character = character_of(series)
    if character is None and not series.themes:
        return f"I have no description of {series.title}."
    about = think_of(series, most=3)
    return f"I have no full description, but {series.title} is {character or 'a series'}{about}."


def editions(inquiry: Inquiry) -> str:
    """Answer which editions there are."""
    series = inquiry.series
    names = [_edition_name(edition) for edition in series.editions]
    kinds = {product.kind for product in inquiry.products}
    plain = [name for kind, name in (("single", "single volumes"), ("digital", "e-books")) if kind in kinds]
    if not names and not plain:
        return f"I have no editions on record for {series.title}."
    if not names:
        return f"{series.title} comes in {listed(plain)}; I know of no box set, omnibus or deluxe edition."
    shown = names[:_MAX_EDITIONS]
    more = ", among others" if len(names) > len(shown) else ""
    begin = f"Besides {listed(plain)}, there is" if plain else f"Of {series.title} there is"
    return f"{begin} {listed(shown)}{more}."


def genre(inquiry: Inquiry) -> str:
    """Answer what kind of story it is."""
    series = inquiry.series
    if not series.genres and series.demographic is None:
        return f"I have no genre on record for {series.title}."
    kind = listed(series.genres) or "no particular genre"
    audience = f", published as {series.demographic}" if series.demographic else ""
    themes = f", with {listed(series.themes[:3])} among its themes" if series.themes else ""
    return f"{series.title} is {kind}{audience}{themes}."


def language(inquiry: Inquiry) -> str:
    """Answer in which languages it can be bought."""
    found = list(dict.fromkeys(language_name(product.language) for product in inquiry.products))
    if not found:
        return f"I have no language on record for {inquiry.series.title}."
    wanted = inquiry.constraints.language
    if wanted is not None and all(product.language != wanted for product in inquiry.products):
        return (
            f"I don't see {inquiry.series.title} in {language_name(wanted)}; we have it in {listed(found)}."
        )
    return f"We have {inquiry.series.title} in {listed(found)}."


def year(inquiry: Inquiry) -> str:
    """Answer when it began."""
    if inquiry.series.first_year is None:
        return f"I don't know when {inquiry.series.title} began."
    return f"{inquiry.series.title} began in {inquiry.series.first_year}."


def similar(inquiry: Inquiry) -> str:
    """Answer what is close to it."""
    if not inquiry.similar_titles:
        return f"I have nothing on record that is close to {inquiry.series.title}."
    return f"Close to {inquiry.series.title} in spirit: {listed(inquiry.similar_titles)}."


def reading_order(inquiry: Inquiry) -> str:
    """Answer where to begin."""
    start = starting_offer(inquiry.products)
    if start is None or start.volume != 1:
        return f"{inquiry.series.title} is read in the order of its volume numbers."
    return f"Read {inquiry.series.title} in the order of its volume numbers, beginning with volume 1."


def cheapest(inquiry: Inquiry) -> str:
    """Answer what the cheapest way to buy it is."""
    priced = [product for product in inquiry.products if product.price_usd is not None]
    if not priced:
        return f"I can't see a price for {inquiry.series.title} at the moment."
    best = min(priced, key=lambda product: product.price_usd or 0.0)
    amount = money(best.price_usd or 0.0)
    return f"The cheapest offer for {inquiry.series.title} is {offer_name(best)}, at {amount}."


def product_id(inquiry: Inquiry) -> str:
    """Answer under which id it is sold."""
    offers = inquiry.meant[:_MAX_OFFERS]
    if not offers:
        return f"I have no product id for {_what(inquiry)}."
    clauses = [f"{offer_name(product)} has the product id {product.product_id}" for product in offers]
    return f"{_of_title(inquiry, clauses[0])}{''.join(f', {clause}' for clause in clauses[1:])}."


RENDERERS: Mapping[Aspect, Renderer] = {
    "price": price, "stock": stock, "volumes": volumes, "author": author, "status": status, "format": formats,
    "release_date": release_date, "age_rating": age_rating, "anime": anime, "summary": summary,
    "editions": editions, "genre": genre, "language": language, "year": year, "similar": similar,
    "reading_order": reading_order, "cheapest": cheapest, "product_id": product_id,
}  # fmt: skip


def overview(inquiry: Inquiry) -> str:
    """Describe a series in one sentence, for a question that asks for nothing in particular."""
    series = inquiry.series
    author_part = f" by {listed(series.authors)}" if series.authors else ""
    kind, length = genre_of(series), length_of(series)
    character = character_of(series) if kind else None
    facts = [part for part in (character, length) if part]
    if not facts:
        return f"We list {series.title}{author_part}."
    return f"{series.title}{author_part} is {', '.join(facts)}."


def _edition_name(edition: Edition) -> str:
    return edition.name if edition.covers is None else f"{edition.name} ({volume_range(edition.covers)})"


def _what(inquiry: Inquiry) -> str:
    if inquiry.volumes:
        return f"{inquiry.series.title}, volume {listed([str(volume) for volume in inquiry.volumes])}"
    return inquiry.series.title


def _named(inquiry: Inquiry, product: Product) -> str:
    name, title = offer_name(product), inquiry.series.title
    return name if title.casefold() in name.casefold() else f"{name} of {title}"


def _stocked(product: Product, now: datetime) -> str:
    available = availability(product, now)
    return (
        f"{offer_name(product)} is {available}" if available else f"{offer_name(product)} is of unknown stock"
    )


def _priced(product: Product) -> str:
    amount = "without a price at the moment" if product.price_usd is None else money(product.price_usd)
    return f"{offer_name(product)} is {amount}"


def _of_title(inquiry: Inquiry, clause: str) -> str:
    """Begin a sentence with a clause about an offer, making sure that the series is named in it."""
    title = inquiry.series.title
    if title.casefold() in clause.casefold():
        return capitalised(clause)
    for verb in (" is ", " has ", " comes out ", " went on ", " as ", " in "):
        name, found, rest = clause.partition(verb)
        if found:
            return f"{capitalised(name)} of {title}{verb}{rest}"
    return capitalised(clause)
