"""What the page shows beside the text: cards of the series it names, and its sources."""

from __future__ import annotations

from mangaassist.domain.catalog import Product
from mangaassist.domain.chat import ProductCard, SourceRef
from mangaassist.domain.grounding import AnswerFacts, SeriesFacts
from mangaassist.domain.intents import Intent

MAX_CARDS = 4
MAX_SOURCES = 4
PASSAGE_INTENTS = frozenset({Intent.FAQ, Intent.PROMOTION, Intent.CHECKOUT_HELP, Intent.RETURN_REQUEST})


def series_in_text(facts: AnswerFacts, text: str) -> list[SeriesFacts]:
    """Return the series of the facts that the text names, in the order of their first mention."""
    lowered = text.casefold()
    found: dict[str, tuple[int, SeriesFacts]] = {}
    for item in (*facts.subjects, *facts.candidates):
        position = lowered.find(item.series.title.casefold())
        if position >= 0 and item.series.series_id not in found:
            found[item.series.series_id] = (position, item)
    return [item for _, item in sorted(found.values(), key=lambda entry: entry[0])]


def cards_of(facts: AnswerFacts, text: str) -> tuple[ProductCard, ...]:
    """Return one card for each named series that is on offer here: its first product.

    The series whose taste was asked for are named, not offered.
    """
    models_of_taste = set(facts.constraints.like_series) if facts.candidates else set()
    cards = [
        _card(item, item.products[0])
        for item in series_in_text(facts, text)
        if item.products and item.series.series_id not in models_of_taste
    ]
    return tuple(cards[:MAX_CARDS])


def sources_of(facts: AnswerFacts) -> tuple[SourceRef, ...]:
    """Return the articles and promotions that the answer was allowed to rest on."""
    if facts.intent not in PASSAGE_INTENTS:
        return ()
    return tuple(
        SourceRef(source_id=passage.ref, kind=passage.kind, title=passage.title)
        for passage in facts.passages[:MAX_SOURCES]
    )


def _card(item: SeriesFacts, product: Product) -> ProductCard:
    return ProductCard(
        product_id=product.product_id,
        series_id=item.series.series_id,
        title=product.title,
        kind=product.kind,
        format=product.format,
        price_usd=product.price_usd,
        in_stock=product.in_stock,
        authors=item.series.authors,
        age_rating=item.series.age_rating,
        reason=item.reasons[0] if item.reasons else None,
    )
