"""What the store sells: series, products, and the live offer of a product."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Demographic = Literal["shounen", "seinen", "shoujo", "josei", "kids"]
SeriesStatus = Literal["ongoing", "finished", "hiatus", "cancelled"]
AgeRating = Literal["all", "10+", "13+", "16+", "18+"]
ProductKind = Literal["single", "box_set", "deluxe", "omnibus", "digital"]
ProductFormat = Literal["paperback", "hardcover", "box_set", "ebook"]

AGE_FLOOR: dict[str, int] = {"all": 0, "10+": 10, "13+": 13, "16+": 16, "18+": 18}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """An English edition of a series that bundles volumes; `covers` is None where unsure."""

    kind: Literal["box_set", "deluxe", "omnibus"]
    name: str
    covers: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Facts of one series. None means unknown and is never filled in."""

    series_id: str
    title: str
    alt_titles: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    demographic: Demographic | None = None
    genres: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    first_year: int | None = None
    status: SeriesStatus | None = None
    volumes: int | None = None
    stocked_volumes: int | None = None
    age_rating: AgeRating | None = None
    anime: bool | None = None
    editions: tuple[Edition, ...] = ()
    similar: tuple[str, ...] = ()
    description: str | None = None
    source: str = "pack"

    @property
    def min_age(self) -> int | None:
        """Youngest suitable age in years, or None when the rating is unknown."""
        return None if self.age_rating is None else AGE_FLOOR[self.age_rating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One thing that can be bought. `product_id` is an ASIN or a check-digit-valid ISBN-10."""

    product_id: str
    series_id: str
    title: str
    kind: ProductKind
    format: ProductFormat
    language: str = "en"
    volume: int | None = None
    covers: tuple[int, int] | None = None
    price_usd: float | None = None
    stock: int | None = None
    release_date: date | None = None

    @property
    def in_stock(self) -> bool | None:
        """Whether it can be sent now; None when the stock is unknown. Digital is always available."""
        if self.kind == "digital":
            return True
        return None if self.stock is None else self.stock > 0
