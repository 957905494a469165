"""A store pack read from its folder; every problem is named by file, line and field."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import orjson
import yaml

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.store_pack import Place, Problem, StoreManifest, StorePack, Table, Utterance
from mangaassist.domain.store_rows import (
    ARTICLE_RULES,
    CUSTOMER_RULES,
    ORDER_RULES,
    PRODUCT_RULES,
    PROMOTION_RULES,
    SERIES_RULES,
    UTTERANCE_RULES,
    FieldRule,
    Row,
    article_from_row,
    check_row,
    customer_from_row,
    is_text,
    order_from_row,
    product_from_row,
    promotion_from_row,
    series_from_row,
)

SCHEMA_VERSION = 1
MANIFEST = "store.yaml"

_MANIFEST_RULES = {
    "name": FieldRule(is_text, "a short name"),
    "title": FieldRule(is_text, "the name of the store"),
    "schema_version": FieldRule(lambda value: value == SCHEMA_VERSION, f"{SCHEMA_VERSION}"),
    "currency": FieldRule(lambda value: value == "USD", "USD"),
    "locale": FieldRule(is_text, "a locale such as en-US"),
    "timezone": FieldRule(is_text, "an IANA time zone"),
    "catalog_as_of": FieldRule(lambda value: type(value) is date, "a date YYYY-MM-DD"),
    "synthetic": FieldRule(
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        "a list of texts naming the values that are demonstration data",
    ),
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReading:
    """The records that could be read, and every row that could not."""

    pack: StorePack
    problems: tuple[Problem, ...]


def load_store_pack(folder: Path) -> StorePack:
    """Return the pack, or raise `ConfigurationError` naming the first problems."""
    reading = read_store_pack(folder)
    if reading.problems:
        shown = "; ".join(str(problem) for problem in reading.problems[:3])
        more = f" (and {len(reading.problems) - 3} more)" if len(reading.problems) > 3 else ""
        raise ConfigurationError(f"the store pack {str(folder)!r} cannot be used: {shown}{more}")
    return reading.pack


def read_store_pack(folder: Path) -> PackReading:
    """Read every record; rows with faults are left out and reported."""
    with _collector_paused():
        return _read_store_pack(folder)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Tens of thousands of records without a cycle: the collector's passes cost a third of the reading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_store_pack(folder: Path) -> PackReading:
    problems: list[Problem] = []
    manifest = _read_manifest(folder, problems)
    series = _read_table(folder, "series/*.jsonl", rules=SERIES_RULES, build=series_from_row, into=problems)
    pack = StorePack(
        manifest=manifest,
        series=series,
        products=_read_table(
            folder,
            "products*.jsonl",
            rules=PRODUCT_RULES,
            build=_product_builder(series.records),
            into=problems,
        ),
        articles=_read_table(
            folder, "policies/articles.jsonl", rules=ARTICLE_RULES, build=article_from_row, into=problems
        ),
        promotions=_read_table(
            folder,
            "policies/promotions.jsonl",
            rules=PROMOTION_RULES,
            build=promotion_from_row,
            into=problems,
        ),
        customers=_read_table(
            folder, "policies/customers.jsonl", rules=CUSTOMER_RULES, build=customer_from_row, into=problems
        ),
        orders=_read_table(
            folder, "policies/orders.jsonl", rules=ORDER_RULES, build=order_from_row, into=problems
        ),
    )
    return PackReading(pack=pack, problems=tuple(problems))


def read_utterances(folder: Path) -> tuple[Table[Utterance], tuple[Problem, ...]]:
    """Read the training utterances of `intents/`."""
    problems: list[Problem] = []
    table = _read_table(
        folder,
        "intents/*.jsonl",
        rules=UTTERANCE_RULES,
        build=lambda row: Utterance(text=row["text"], intent=row["intent"]),
        into=problems,
    )
    return table, tuple(problems)


def _product_builder(series: Sequence[Series]) -> Callable[[Row], Product]:
    titles = {record.series_id: record.title for record in series}
    one_volume = {record.series_id for record in series if record.volumes == 1}

    def build(row: Row) -> Product:
        series_id: str = row["series_id"]
        title = titles.get(series_id, series_id)
        return product_from_row(row, series_title=title, only_volume=series_id in one_volume)

    return build


def _read_table(
    folder: Path,
    pattern: str,
    *,
    rules: Mapping[str, FieldRule],
    build: Callable[[Row], T],
    into: list[Problem],
) -> Table[T]:
    paths = sorted(folder.glob(pattern))
    if not paths:
        into.append(Problem(path=pattern, message="expected at least one such file, found none"))
    records: list[T] = []
    places: list[Place] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        for number, line in enumerate(_lines(path, name, into), start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                into.append(
                    Problem(path=name, line=number, message=f"expected one JSON object a line: {error}")
                )
                continue
            faults = check_row(row, rules)
            if faults:
                into.extend(
                    Problem(path=name, line=number, field=fault.field, message=fault.message)
                    for fault in faults
                )
                continue
            records.append(build(row))
            places.append(Place(path=name, line=number))
    return Table(records=tuple(records), places=tuple(places))


def _lines(path: Path, name: str, into: list[Problem]) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        into.append(Problem(path=name, message=f"cannot be read: {error.strerror}"))
        return []


def _read_manifest(folder: Path, problems: list[Problem]) -> StoreManifest:
    content = read_mapping(folder, MANIFEST, problems)
    faults = check_row(content, _MANIFEST_RULES) if content is not None else []
    problems.extend(Problem(path=MANIFEST, field=fault.field, message=fault.message) for fault in faults)
    if content is None or faults:
        return StoreManifest(
            name=folder.name,
            title=folder.name,
            schema_version=SCHEMA_VERSION,
            currency="USD",
            locale="en-US",
            timezone="UTC",
            catalog_as_of=date.max,
        )
    return StoreManifest(**{**content, "synthetic": tuple(content["synthetic"])})


def read_mapping(folder: Path, name: str, problems: list[Problem]) -> dict[str, Any] | None:
    """Return the YAML mapping in `name`, or None after reporting why there is none."""
    try:
        content = yaml.safe_load((folder / name).read_bytes())
    except OSError as error:
        problems.append(Problem(path=name, message=f"cannot be read: {error.strerror}"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        problems.append(Problem(path=name, line=line, message=f"expected YAML: {_one_line(error)}"))
    else:
        if isinstance(content, dict):
            return content
        problems.append(Problem(path=name, message=f"expected a mapping, got {type(content).__name__}"))
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def count_records(pack: StorePack) -> dict[str, int]:
    """Return how many records of each kind the pack holds, products also by kind."""
    kinds = Counter(product.kind for product in pack.products.records)
    return {
        "series": len(pack.series.records),
        "products": len(pack.products.records),
        **{f"products.{kind}": count for kind, count in sorted(kinds.items())},
        "articles": len(pack.articles.records),
        "promotions": len(pack.promotions.records),
        "customers": len(pack.customers.records),
        "orders": len(pack.orders.records),
    }
