"""What the index holds: one chunk a series, an article, a promotion, with the metadata that filters use.

| kind | metadata |
|---|---|
| series | genres, themes, moods, authors, demographic, min_age, status, volumes, first_year, anime, kinds, formats, languages, min_price_usd, in_stock, described |
| faq, policy | topics |
| promotion | starts_at, ends_at (seconds since 1970), members_only |

Every chunk also has its kind. A fact that is unknown has no field, so that no filter on it matches.
"""  # noqa: E501 (a table row)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.retrieval import Chunk
from mangaassist.domain.store import Article, Promotion
from mangaassist.ports.store_services import Catalog

OPEN_END = 253_402_300_799
"""`ends_at` of a promotion without an end: the last second of the year 9999."""

_DESCRIBED = "described"
_ASKED_AS = "\n\nAsked as: "
_STATUS_WORDS = {
    "ongoing": "still running",
    "finished": "finished",
    "hiatus": "on hiatus",
    "cancelled": "cancelled",
}

Metadata = dict[str, str | int | float | bool | tuple[str, ...]]


def chunks_of_store(
    catalog: Catalog, articles: Iterable[Article], promotions: Iterable[Promotion]
) -> Iterator[Chunk]:
    """Yield everything that is searchable, in a stable order."""
    for series in catalog.all_series():
        yield from chunks_of_series(series, catalog.products_of(series.series_id))
    yield from map(chunk_of_article, articles)
    yield from map(chunk_of_promotion, promotions)


def chunks_of_series(series: Series, products: Sequence[Product]) -> tuple[Chunk, ...]:
    """Describe a series by its names, facts and description."""
    return (
        Chunk(
            chunk_id=f"series:{series.series_id}",
            kind="series",
            ref=series.series_id,
            title=series.title,
            text=_series_text(series),
            metadata=_series_metadata(series, products),
        ),
    )


def chunk_of_article(article: Article) -> Chunk:
    """An article with the questions shoppers ask it by."""
    return Chunk(
        chunk_id=f"{article.kind}:{article.article_id}",
        kind=article.kind,
        ref=article.article_id,
        title=article.title,
        text=article.body + _ASKED_AS + " / ".join(article.questions),
        metadata={"kind": article.kind, **({"topics": article.topics} if article.topics else {})},
    )


def chunk_of_promotion(promotion: Promotion) -> Chunk:
    """A promotion with its code and the time it is valid in."""
    code = f" Code: {promotion.code}." if promotion.code else ""
    return Chunk(
        chunk_id=f"promotion:{promotion.promotion_id}",
        kind="promotion",
        ref=promotion.promotion_id,
        title=promotion.title,
        text=promotion.body + code,
        metadata={
            "kind": "promotion",
            "starts_at": int(promotion.starts_at.timestamp()),
            "ends_at": OPEN_END if promotion.ends_at is None else int(promotion.ends_at.timestamp()),
            "members_only": promotion.members_only,
        },
    )


def passage_text(chunk: Chunk) -> str:
    """The part of a chunk that may be shown or quoted: without the questions that only serve the search."""
    return chunk.text.partition(_ASKED_AS)[0]


def embedding_text(chunk: Chunk) -> str:
    """The text whose vector stands for the chunk.

    Series without a description (imports) get a terse one, since an import waits for every token: other
    spellings of the title and the names of authors are found by the lexical search.
    """
    if chunk.kind == "series" and _DESCRIBED not in chunk.metadata:
        return " ".join(_terse_parts(chunk))
    return f"{chunk.title}. {chunk.text}"


def _terse_parts(chunk: Chunk) -> Iterator[str]:
    yield f"{chunk.title}."
    for name in ("demographic", "genres", "themes", "first_year"):
        value = chunk.metadata.get(name)
        if isinstance(value, tuple):
            yield ", ".join(value)
        elif value is not None:
            yield str(value)


def _series_text(series: Series) -> str:
    facts = [
        f"Also known as {', '.join(series.alt_titles)}." if series.alt_titles else "",
        f"By {' and '.join(series.authors)}." if series.authors else "",
        f"{_capitalised(', '.join(filter(None, (series.demographic, *series.genres))))}.",
        f"Themes: {', '.join(series.themes)}." if series.themes else "",
        f"Mood: {', '.join(series.moods)}." if series.moods else "",
        _run_text(series),
        "Adapted as an anime." if series.anime else "",
        series.description or "",
    ]
    return " ".join(fact for fact in facts if fact and fact != ".")


def _run_text(series: Series) -> str:
    parts = []
    if series.first_year is not None:
        parts.append(f"first published {series.first_year}")
    if series.status is not None:
        parts.append(_STATUS_WORDS[series.status])
    if series.volumes is not None:
        parts.append("1 volume" if series.volumes == 1 else f"{series.volumes} volumes")
    return f"{_capitalised(', '.join(parts))}." if parts else ""


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _series_metadata(series: Series, products: Sequence[Product]) -> Metadata:
    metadata: Metadata = {"kind": "series"}
    if series.description is not None:
        metadata[_DESCRIBED] = True
    for name, values in (
        ("genres", series.genres),
        ("themes", series.themes),
        ("moods", series.moods),
        ("authors", series.authors),
        ("kinds", _distinct(product.kind for product in products)),
        ("formats", _distinct(product.format for product in products)),
        ("languages", _distinct(product.language for product in products)),
    ):
        if values:
            metadata[name] = values
    for name, value in (
        ("demographic", series.demographic),
        ("min_age", series.min_age),
        ("status", series.status),
        ("volumes", series.volumes),
        ("first_year", series.first_year),
        ("anime", series.anime),
        ("min_price_usd", _lowest_price_usd(products)),
        ("in_stock", _availability(products)),
    ):
        if value is not None:
            metadata[name] = value
    return metadata


def _lowest_price_usd(products: Sequence[Product]) -> float | None:
    return min((product.price_usd for product in products if product.price_usd is not None), default=None)


def _availability(products: Sequence[Product]) -> bool | None:
    """Whether anything of the series can be had now; None when nothing is known to be."""
    known = [product.in_stock for product in products if product.in_stock is not None]
    return any(known) if known else None


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
