"""A pack on disk: what it becomes, and how its faults are named."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from mangaassist.adapters.embedded.store_pack import load_store_pack, read_store_pack, read_utterances
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.store_pack import check_pack, check_utterances
from tests.support.store_packs import (
    PACK,
    Row,
    article_row,
    customer_row,
    order_row,
    product_row,
    promotion_row,
    series_row,
    write_pack,
    write_rows,
)


def found(folder: Path) -> list[str]:
    """Every problem as `file:line:field`, row faults first."""
    reading = read_store_pack(folder)
    problems = [*reading.problems, *check_pack(reading.pack)]
    return [f"{problem.path}:{problem.line}:{problem.field}" for problem in problems]


def test_a_whole_pack_has_no_problem(tmp_path: Path) -> None:
    assert found(write_pack(tmp_path)) == []


def test_what_a_product_row_leaves_out_follows_from_kind_and_series(tmp_path: Path) -> None:
    rows = [
        product_row(),
        product_row(product_id="B0JP000001", kind="digital", stock=None),
        product_row(product_id="6900000010", language="ja", price_usd=None, stock=None, release_date=None),
    ]
    folder = write_pack(tmp_path, products=rows)
    paper, digital, japanese = load_store_pack(folder).products.records
    assert (paper.title, paper.format, paper.language) == ("Moon Ferry, Vol. 1", "paperback", "en")
    assert paper.release_date == date(2012, 1, 3)
    assert (digital.title, digital.format) == ("Moon Ferry, Vol. 1 (Digital)", "ebook")
    assert japanese.title == "Moon Ferry, Vol. 1 (Japanese edition)"
    assert (japanese.price_usd, japanese.stock, japanese.release_date) == (None, None, None)


def test_the_only_volume_of_a_series_is_sold_under_its_plain_title(tmp_path: Path) -> None:
    folder = write_pack(tmp_path, series=[series_row(volumes=1, stocked_volumes=1)])
    assert load_store_pack(folder).products.records[0].title == "Moon Ferry"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("product_id", "6900000003"),
        ("price_usd", "9.99"),
        ("price_usd", 9.999),
        ("price_usd", -1),
        ("stock", True),
        ("stock", 1.0),
        ("kind", "scroll"),
        ("release_date", "2012-02-30"),
        ("release_date", "2012-1-3"),
        ("volume", -1),
        ("covers", [3, 1]),
        ("colour", "red"),
    ],
)
def test_a_wrong_field_is_named_by_file_line_and_field(tmp_path: Path, field: str, value: object) -> None:
    rows = [product_row(), product_row(product_id="6900000010", volume=2) | {field: value}]
    assert found(write_pack(tmp_path, products=rows)) == [f"products.jsonl:2:{field}"]


def test_loading_a_faulty_pack_says_what_was_expected(tmp_path: Path) -> None:
    folder = write_pack(tmp_path, series=[series_row(status="endless")])
    with pytest.raises(
        ConfigurationError, match=r"series/all\.jsonl:1:status: expected one of ongoing, .*'endless'"
    ):
        load_store_pack(folder)


def test_a_missing_field_and_broken_json_are_named(tmp_path: Path) -> None:
    row = article_row()
    del row["body"]
    folder = write_pack(tmp_path, articles=[row])
    with (folder / "policies" / "articles.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"article_id": \n[1]\n')
    assert found(folder) == [
        "policies/articles.jsonl:1:body",
        "policies/articles.jsonl:3:None",
        "policies/articles.jsonl:4:-",
    ]


def test_a_missing_file_is_a_problem_and_not_a_crash(tmp_path: Path) -> None:
    folder = write_pack(tmp_path)
    (folder / "policies" / "orders.jsonl").unlink()
    (folder / "store.yaml").write_text("name: [", encoding="utf-8")
    assert [entry.split(":")[0] for entry in found(folder)] == ["store.yaml", "policies/orders.jsonl"]


SeveralRows = dict[str, list[Row]]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ({"series": [series_row(), series_row()]}, "series/all.jsonl:2:series_id"),
        ({"series": [series_row(similar=["nowhere"])]}, "series/all.jsonl:1:similar"),
        ({"series": [series_row(similar=["moon-ferry"])]}, "series/all.jsonl:1:similar"),
        ({"series": [series_row(status="ongoing")]}, "series/all.jsonl:1:volumes"),
        ({"series": [series_row(stocked_volumes=4)]}, "series/all.jsonl:1:stocked_volumes"),
        (
            {"series": [series_row(editions=[{"kind": "omnibus", "name": "Both", "covers": [3, 4]}])]},
            "series/all.jsonl:1:editions",
        ),
        ({"products": [product_row(), product_row()]}, "products.jsonl:2:product_id"),
        ({"products": [product_row(series_id="nowhere")]}, "products.jsonl:1:series_id"),
        ({"products": [product_row(volume=4)]}, "products.jsonl:1:volume"),
        ({"products": [product_row(release_date="2027-01-01")]}, "products.jsonl:1:stock"),
        ({"products": [product_row(kind="digital")]}, "products.jsonl:1:stock"),
        (
            {
                "products": [
                    product_row(volume=2),
                    product_row(product_id="6900000010", release_date="2012-01-04"),
                ]
            },
            "products.jsonl:1:release_date",
        ),
        (
            {"promotions": [promotion_row(ends_at="2026-02-01T00:00:00Z")]},
            "policies/promotions.jsonl:1:ends_at",
        ),
        ({"promotions": [promotion_row(value=None)]}, "policies/promotions.jsonl:1:value"),
        (
            {"customers": [customer_row(favourite_series=["x"])]},
            "policies/customers.jsonl:1:favourite_series",
        ),
        ({"orders": [order_row(customer_id="cust-x")]}, "policies/orders.jsonl:1:customer_id"),
        ({"orders": [order_row(updated_at="2026-11-20T09:00:00Z")]}, "policies/orders.jsonl:1:updated_at"),
        ({"orders": [order_row(tracking_number="1Z")]}, "policies/orders.jsonl:1:tracking_number"),
        ({"orders": [order_row(total_usd=1)]}, "policies/orders.jsonl:1:total_usd"),
        (
            {"orders": [order_row(state="refunded", refund_usd=99)]},
            "policies/orders.jsonl:1:refund_usd",
        ),
    ],
)
def test_what_does_not_hold_between_records_is_named(tmp_path: Path, rows: SeveralRows, problem: str) -> None:
    assert found(write_pack(tmp_path, **rows)) == [problem]


def test_thin_intents_and_contradicting_labels_are_reported(tmp_path: Path) -> None:
    rows = [{"text": "Hello there", "intent": "chitchat"}, {"text": "hello  there", "intent": "faq"}]
    write_rows(tmp_path / "intents" / "all.jsonl", rows)
    utterances, faults = read_utterances(tmp_path)
    problems = check_utterances(utterances)
    assert faults == ()
    assert [problem.line for problem in problems if problem.severity == "error"] == [2]
    assert {problem.field for problem in problems if problem.severity == "warning"} >= {"faq", "out_of_scope"}


def test_the_shipped_pack_holds_what_the_store_promises() -> None:
    reading = read_store_pack(PACK)
    assert reading.problems == ()
    assert [str(problem) for problem in check_pack(reading.pack)] == []
    assert len(reading.pack.series.records) >= 400
    assert len(reading.pack.products.records) >= 4_000
    assert len(reading.pack.articles.records) >= 80
    utterances, _ = read_utterances(PACK)
    assert check_utterances(utterances) == []


def test_a_pack_of_four_thousand_products_loads_within_its_budget() -> None:
    def once(run: Callable[[], object]) -> float:
        started = time.process_time()
        run()
        return time.process_time() - started

    pack = load_store_pack(PACK)
    fastest_s = min(once(lambda: load_store_pack(PACK)) for _ in range(3))
    # 150 ms for 4,000 products, doubled for a machine that is busy with other tests
    assert fastest_s / len(pack.products.records) * 4_000 < 0.3
