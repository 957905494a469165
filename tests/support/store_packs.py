"""A small valid store pack that tests write to disk and then break in one place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

PACK = Path(__file__).parents[2] / "stores" / "jp-manga"

Row = dict[str, Any]


def series_row(series_id: str = "moon-ferry", **changes: object) -> Row:
    return {
        "series_id": series_id,
        "title": series_id.replace("-", " ").title(),
        "alt_titles": [],
        "authors": ["Rin Sato"],
        "demographic": "seinen",
        "genres": ["fantasy"],
        "themes": ["ferries"],
        "moods": ["cozy"],
        "first_year": 2011,
        "status": "finished",
        "volumes": 3,
        "stocked_volumes": 2,
        "age_rating": "13+",
        "anime": False,
        "editions": [],
        "similar": [],
        "description": "A ferry that only sails at night.",
    } | changes


def product_row(**changes: object) -> Row:
    return {
        "product_id": "6900000002",
        "series_id": "moon-ferry",
        "kind": "single",
        "volume": 1,
        "price_usd": 9.99,
        "stock": 4,
        "release_date": "2012-01-03",
    } | changes


def article_row(**changes: object) -> Row:
    return {
        "article_id": "returns",
        "kind": "policy",
        "title": "Can I return a book?",
        "questions": ["return policy"],
        "body": "Yes, within 30 days.",
        "topics": ["returns"],
        "effective_from": "2026-01-01",
        "updated_at": None,
    } | changes


def promotion_row(**changes: object) -> Row:
    return {
        "promotion_id": "spring",
        "title": "Spring sale",
        "body": "Ten per cent off fantasy.",
        "kind": "percent",
        "value": 10,
        "code": "SPRING",
        "starts_at": "2026-03-01T00:00:00Z",
        "ends_at": "2026-04-01T00:00:00Z",
        "min_order_usd": None,
        "applies_to": {"kinds": [], "genres": ["fantasy"], "series_ids": ["moon-ferry"]},
        "members_only": False,
        "stackable": False,
    } | changes


def customer_row(customer_id: str = "cust-aiko", **changes: object) -> Row:
    return {
        "customer_id": customer_id,
        "name": "Aiko Tanaka",
        "email": f"{customer_id}@example.com",
        "member": True,
        "points": 10,
        "birth_year": None,
        "locale": "en-US",
        "favourite_series": ["moon-ferry"],
        "address_city": None,
    } | changes


def order_row(order_id: str = "114-5550101-2000001", **changes: object) -> Row:
    item = {"title": "Moon Ferry, Vol. 1", "series_id": "moon-ferry", "volume": 1, "kind": "single"}
    return {
        "order_id": order_id,
        "customer_id": "cust-aiko",
        "state": "placed",
        "placed_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-20T10:00:00Z",
        "items": [{**item, "quantity": 2, "price_usd": 9.99}],
        "total_usd": 23.97,
        "shipping_usd": 3.99,
        "carrier": None,
        "tracking_number": None,
        "estimated_delivery": "2026-11-27",
        "delivered_at": None,
        "return_reason": None,
        "refund_usd": None,
        "status_note": None,
    } | changes


def write_pack(
    folder: Path,
    *,
    series: Iterable[Row] = (series_row(),),
    products: Iterable[Row] = (product_row(),),
    articles: Iterable[Row] = (article_row(),),
    promotions: Iterable[Row] = (promotion_row(),),
    customers: Iterable[Row] = (customer_row(),),
    orders: Iterable[Row] = (order_row(),),
) -> Path:
    """Write the records of a pack; what stands around them (prompts, ...) is not needed to load it."""
    manifest = {
        "name": "test",
        "title": "Test store",
        "schema_version": 1,
        "currency": "USD",
        "locale": "en-US",
        "timezone": "UTC",
        "synthetic": ["everything"],
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(manifest) + "catalog_as_of: 2026-11-21\n"
    (folder / "store.yaml").write_text(text, encoding="utf-8")
    write_rows(folder / "series" / "all.jsonl", series)
    write_rows(folder / "products.jsonl", products)
    write_rows(folder / "policies" / "articles.jsonl", articles)
    write_rows(folder / "policies" / "promotions.jsonl", promotions)
    write_rows(folder / "policies" / "customers.jsonl", customers)
    write_rows(folder / "policies" / "orders.jsonl", orders)
    write_rows(folder / "intents" / "all.jsonl", [{"text": "hello", "intent": "chitchat"}])
    return folder


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
