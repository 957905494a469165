"""Write `products.jsonl` of the store pack from its series, editions and orders.

    python tools/build_products.py [stores/jp-manga]

Standard library only, no clock, no chance: every made-up value (see `synthetic` in store.yaml) is drawn
from a SHA-256 of the series, kind and volume, so that a run changes only what its input changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

AS_OF = date(2026, 11, 21)
SHOP_OPENED = date(2008, 3, 4)
ISBN_GROUP = "69"  # 66 to 69 belong to no registration group, so no real book has such a number
ASIN_PREFIX = "B0JP"
ASIN_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CAPPED_AT = 40  # the shop carries at most so many volumes of a series; a capped one has no next volume here

SINGLE_PRICES_USD: dict[str | None, tuple[float, ...]] = {
    "kids": (8.99, 9.99, 9.99),
    "shounen": (9.99, 10.99, 11.99),
    "shoujo": (9.99, 9.99, 10.99),
    "seinen": (12.99, 12.99, 13.99, 14.99),
    "josei": (12.99, 13.99, 14.99),
    None: (12.99, 13.99, 15.99),
}
PAPERBACK_DELUXE = re.compile(
    r"Master Edition|Eternal Edition|Legendary Edition|Maison Ikkoku|Mermaid Saga|Yokohama Kaidashi Kikou"
)
HARDCOVER_OMNIBUS = re.compile(
    r"^(The Rose of Versailles|The Heart of Thomas|The Poe Clan|Otherworld Barbara|Thermae Romae"
    r"|Cutie Honey|My Brother's Husband|Vinland Saga, Book|Emma, Vol|Ashita no Joe)"
)
# Release days that the demonstration orders already promise to their customers.
ANNOUNCED = {
    ("frieren-beyond-journeys-end", 13): date(2026, 12, 8),
    ("blue-box", 11): date(2026, 12, 1),
    ("blue-period", 15): date(2027, 1, 12),
    ("dandadan", 15): date(2026, 12, 15),
}

Row = dict[str, Any]


class Draw:
    """Numbers that depend on a key only."""

    def __init__(self, *key: object) -> None:
        self._key = "|".join(map(str, key))

    def below(self, limit: int, purpose: str) -> int:
        """A number from 0 to `limit` - 1, even across keys, independent across purposes."""
        digest = hashlib.sha256(f"{self._key}|{purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % limit

    def percent(self, share: int, purpose: str) -> bool:
        """True for `share` per cent of the keys."""
        return self.below(100, purpose) < share


class ProductIds:
    """Hands out ids, each once; the rare second taker of a number draws again."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def isbn10(self, *key: object) -> str:
        """An ISBN-10 of the demonstration group with its check digit."""
        for attempt in range(100):
            nine = f"{ISBN_GROUP}{Draw(*key, attempt).below(10**7, 'isbn'):07d}"
            weighted = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), nine, strict=True))
            if self._take(number := nine + "0123456789X"[-weighted % 11]):
                return number
        raise RuntimeError(f"no free ISBN for {key}")

    def asin(self, *key: object) -> str:
        """An ASIN of the demonstration prefix."""
        for attempt in range(100):
            rest = Draw(*key, attempt).below(36**6, "asin")
            letters = "".join(ASIN_ALPHABET[rest // 36**place % 36] for place in range(6))
            if self._take(number := ASIN_PREFIX + letters):
                return number
        raise RuntimeError(f"no free ASIN for {key}")

    def _take(self, number: str) -> bool:
        if number in self._taken:
            return False
        self._taken.add(number)
        return True


class Orders:
    """What the demonstration orders say about products, so that shop and orders agree."""

    def __init__(self, orders: list[Row]) -> None:
        self._prices: dict[tuple[str, str], float] = {}
        self._waiting: set[tuple[str, str]] = set()
        for order in orders:
            for item in order["items"]:
                if round(item["price_usd"] * 100) % 100 == 99:
                    self._prices[item["series_id"], item["kind"]] = item["price_usd"]
                if order["state"] == "backordered":
                    self._waiting.add((item["series_id"], item["title"]))

    def price_usd(self, series_id: str, kind: str) -> float | None:
        """What customers paid for this kind of the series."""
        return self._prices.get((series_id, kind))

    def awaits(self, series_id: str, title: str) -> bool:
        """Whether an open order waits for copies of this item."""
        return (series_id, title) in self._waiting


class SeriesProducts:
    """The products of one series."""

    def __init__(self, series: Row, *, ids: ProductIds, orders: Orders) -> None:
        self._series = series
        self._id: str = series["series_id"]
        self._ids = ids
        self._orders = orders
        self._draw = Draw(self._id)

    def rows(self) -> Iterator[Row]:
        """Yield singles, bundles, digital and Japanese editions, in this order."""
        volumes = 0 if sold_as_bundles(self._series) else self._series["stocked_volumes"] or 0
        released = self._release_dates(volumes)
        for volume in range(1, volumes + 1):
            yield self._single(volume, released[volume - 1], volumes=volumes)
        if volumes and self._continues(volumes):
            yield self._coming(volumes + 1, volumes=volumes)
        for edition in self._series["editions"]:
            yield self._bundle(edition, after=released[-1] if released else None)
        if self._draw.percent(35, "digital") or self._orders.price_usd(self._id, "digital"):
            for volume in range(1, min(volumes, 6 + self._draw.below(9, "digital run")) + 1):
                yield self._digital(volume, released[volume - 1], volumes=volumes)
        if self._draw.percent(9, "japanese"):
            for volume in range(1, min(volumes, 2 + self._draw.below(4, "japanese run")) + 1):
                yield self._japanese(volume, released[volume - 1])

    def _single(self, volume: int, released: date, *, volumes: int) -> Row:
        title = f"{self._series['title']}, Vol. {volume}"
        draw = Draw(self._id, "single", volume)
        stock = 0 if self._orders.awaits(self._id, title) else _stock(draw)
        return {
            "product_id": self._ids.isbn10(self._id, "single", volume),
            "series_id": self._id,
            "kind": "single",
            "volume": volume,
            "price_usd": None if draw.percent(1, "unpriced") else self._single_price_usd(volume, volumes),
            "stock": stock,
            "release_date": _known(released, draw),
        }

    def _coming(self, volume: int, *, volumes: int) -> Row:
        draw = Draw(self._id, "single", volume)
        announced = ANNOUNCED.get((self._id, volume))
        drawn = AS_OF + timedelta(days=14 + draw.below(150, "coming"))
        price_usd = self._single_price_usd(volume, volumes)
        return {
            "product_id": self._ids.isbn10(self._id, "single", volume),
            "series_id": self._id,
            "kind": "single",
            "volume": volume,
            "price_usd": None if announced is None and draw.percent(15, "unpriced") else price_usd,
            "stock": 0,
            "release_date": (announced or _known(_tuesday(drawn), draw)),
        }

    def _bundle(self, edition: Row, *, after: date | None) -> Row:
        kind, name, covers = edition["kind"], edition["name"], edition["covers"]
        draw = Draw(self._id, kind, name)
        drawn = (after or SHOP_OPENED) + timedelta(days=60 + draw.below(1_500, "released"))
        make_id = self._ids.asin if kind == "box_set" else self._ids.isbn10
        row: Row = {
            "product_id": make_id(self._id, kind, name),
            "series_id": self._id,
            "kind": kind,
            "title": name,
        }
        if kind == "deluxe" and PAPERBACK_DELUXE.search(name):
            row["format"] = "paperback"
        if kind == "omnibus" and HARDCOVER_OMNIBUS.search(name):
            row["format"] = "hardcover"
        if covers is not None:
            row["covers"] = covers
        waiting = self._orders.awaits(self._id, name)
        return row | {
            "price_usd": self._orders.price_usd(self._id, kind) or _bundle_price_usd(kind, covers, draw),
            "stock": 0 if waiting else _stock(draw),
            "release_date": _known(_tuesday(min(drawn, AS_OF - timedelta(days=30))), draw),
        }

    def _digital(self, volume: int, released: date, *, volumes: int) -> Row:
        draw = Draw(self._id, "digital", volume)
        paper_usd = self._single_price_usd(volume, volumes)
        price_usd = self._orders.price_usd(self._id, "digital") or max(5.99, int(paper_usd * 0.68) + 0.99)
        return {
            "product_id": self._ids.asin(self._id, "digital", volume),
            "series_id": self._id,
            "kind": "digital",
            "volume": volume,
            "price_usd": price_usd,
            "stock": None,
            "release_date": _known(released, draw),
        }

    def _japanese(self, volume: int, released: date) -> Row:
        draw = Draw(self._id, "japanese", volume)
        return {
            "product_id": self._ids.isbn10(self._id, "japanese", volume),
            "series_id": self._id,
            "kind": "single",
            "volume": volume,
            "language": "ja",
            "price_usd": (6.99, 7.49, 7.99, 8.49)[Draw(self._id, "japanese").below(4, "price")],
            "stock": _stock(draw),
            "release_date": _known(released, draw),
        }

    def _single_price_usd(self, volume: int, volumes: int) -> float:
        paid = self._orders.price_usd(self._id, "single")
        if paid is not None:
            return paid
        ladder = SINGLE_PRICES_USD[self._series["demographic"]]
        base = ladder[self._draw.below(len(ladder), "price")]
        rises = self._draw.percent(40, "price rise") and volume > max(3, volumes * 3 // 4)
        return round(base + (1.0 if rises else 0.0), 2)

    def _continues(self, volumes: int) -> bool:
        if (self._id, volumes + 1) in ANNOUNCED:
            return True
        running = self._series["status"] == "ongoing" and volumes < CAPPED_AT
        return running and self._draw.percent(60, "continues")

    def _release_dates(self, volumes: int) -> list[date]:
        """Days in the order of the volumes, the last before AS_OF and none before the shop opened."""
        if volumes == 0:
            return []
        year = (self._series["first_year"] or SHOP_OPENED.year) + 2 + self._draw.below(3, "lag")
        first = max(SHOP_OPENED, date(min(year, AS_OF.year), 1 + self._draw.below(12, "month"), 7))
        last = AS_OF - timedelta(days=20 + self._draw.below(60, "last"))
        first = max(SHOP_OPENED, min(first, last - timedelta(days=35 * volumes)))
        gap_days = min(60 + self._draw.below(66, "gap"), (last - first).days // volumes)
        return [_tuesday(first + timedelta(days=gap_days * index)) for index in range(volumes)]


def sold_as_bundles(series: Row) -> bool:
    """Whether the plain English volumes bundle several Japanese ones, so that no singles exist to sell."""
    title = _folded(series["title"])
    plain = re.compile(rf"{re.escape(title)}( vol| volume)?( \d+)?")
    return any(plain.fullmatch(_folded(edition["name"])) for edition in series["editions"])


def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def _tuesday(day: date) -> date:
    """The Tuesday on or before `day`: the trade's release day."""
    return day - timedelta(days=(day.weekday() - 1) % 7)


def _known(day: date, draw: Draw) -> date | None:
    return None if draw.percent(10, "undated") else day


def _stock(draw: Draw) -> int | None:
    if draw.percent(3, "uncounted"):
        return None
    if draw.percent(7, "sold out"):
        return 0
    return 1 + min(draw.below(60, "copies"), draw.below(60, "more copies"))


def _bundle_price_usd(kind: str, covers: list[int] | None, draw: Draw) -> float:
    volumes = 3 if covers is None else covers[1] - covers[0] + 1
    if kind == "box_set":
        return round(round(volumes * (6.2 + draw.below(12, "price") / 10) / 5) * 5 + 4.99, 2)
    if kind == "deluxe":
        return (29.99, 34.99, 39.99, 44.99, 49.99)[draw.below(5, "price")]
    return (14.99, 16.99, 19.99, 22.99, 24.99)[min(4, max(0, volumes - 2) + draw.below(2, "price"))]


def build(pack: Path) -> str:
    """Return the text of `products.jsonl`."""
    orders = Orders(_read(pack / "policies" / "orders.jsonl"))
    ids = ProductIds()
    lines = [
        json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=date.isoformat)
        for path in sorted((pack / "series").glob("*.jsonl"))
        for series in _read(path)
        for row in SeriesProducts(series, ids=ids, orders=orders).rows()
    ]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    """Write the file beside the series."""
    pack = Path(sys.argv[1] if len(sys.argv) > 1 else "stores/jp-manga")
    text = build(pack)
    (pack / "products.jsonl").write_text(text, encoding="utf-8")
    print(f"{text.count(chr(10)):,} products, {len(text.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
