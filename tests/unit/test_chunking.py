"""What a chunk says and which filters it answers to."""

from datetime import date

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.store_rows import article_from_row, promotion_from_row
from mangaassist.serving.retrieval.chunking import (
    OPEN_END,
    chunk_of_article,
    chunk_of_promotion,
    chunks_of_series,
    embedding_text,
    passage_text,
)
from tests.support.store_packs import article_row, promotion_row

FERRY = Series(
    series_id="moon-ferry",
    title="Moon Ferry",
    alt_titles=("Tsuki no Watashibune",),
    authors=("Rin Sato",),
    demographic="seinen",
    genres=("fantasy",),
    themes=("ferries",),
    moods=("cozy",),
    first_year=2011,
    status="finished",
    volumes=1,
    age_rating="13+",
    anime=False,
    description="It only sails at night.",
)


def offer(product_id: str, price_usd: float | None, stock: int | None) -> Product:
    return Product(
        product_id=product_id,
        series_id="moon-ferry",
        title="Moon Ferry",
        kind="single",
        format="paperback",
        price_usd=price_usd,
        stock=stock,
        release_date=date(2012, 1, 3),
    )


def test_a_series_is_one_chunk_with_its_names_facts_and_description() -> None:
    (chunk,) = chunks_of_series(FERRY, [offer("a", 9.99, 0), offer("b", 8.99, None), offer("c", None, 2)])
    assert chunk.chunk_id == "series:moon-ferry"
    assert chunk.text == (
        "Also known as Tsuki no Watashibune. By Rin Sato. Seinen, fantasy. Themes: ferries. Mood: cozy."
        " First published 2011, finished, 1 volume. It only sails at night."
    )
    assert chunk.metadata["min_price_usd"] == 8.99
    assert chunk.metadata["in_stock"] is True
    assert chunk.metadata["min_age"] == 13
    assert chunk.metadata["anime"] is False
    assert chunk.metadata["authors"] == ("Rin Sato",)


def test_what_is_unknown_has_neither_text_nor_field() -> None:
    bare = Series(series_id="m1", title="Bare", genres=("drama",), authors=("One",))
    (chunk,) = chunks_of_series(bare, [])
    assert chunk.text == "By One. Drama."
    assert dict(chunk.metadata) == {"kind": "series", "genres": ("drama",), "authors": ("One",)}
    assert embedding_text(chunk) == "Bare. drama"


def test_an_unknown_stock_is_not_taken_for_sold_out() -> None:
    (unknown,) = chunks_of_series(FERRY, [offer("a", 9.99, None)])
    (sold_out,) = chunks_of_series(FERRY, [offer("a", 9.99, 0), offer("b", 9.99, None)])
    assert "in_stock" not in unknown.metadata
    assert sold_out.metadata["in_stock"] is False


def test_questions_are_searched_but_not_part_of_the_passage() -> None:
    article = article_from_row(article_row(questions=["return policy", "send a book back"]))
    chunk = chunk_of_article(article)
    assert chunk.chunk_id == "policy:returns"
    assert "send a book back" in chunk.text
    assert passage_text(chunk) == article.body
    assert embedding_text(chunk).startswith("Can I return a book?. Yes, within 30 days.")


def test_a_promotion_can_be_filtered_by_time() -> None:
    ended = chunk_of_promotion(promotion_from_row(promotion_row()))
    still_open = chunk_of_promotion(promotion_from_row(promotion_row(ends_at=None, code=None)))
    assert ended.metadata["starts_at"] == 1772323200
    assert ended.metadata["ends_at"] == 1775001600
    assert "Code: SPRING." in ended.text
    assert still_open.metadata["ends_at"] == OPEN_END
    assert "Code" not in still_open.text
