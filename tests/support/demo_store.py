"""The shipped store with its dialogue and facts parts, loaded once per test run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.adapters.embedded.store_services import (
    PackCatalog,
    PackCustomerDirectory,
    PackOrderService,
    PackPromotionService,
)
from mangaassist.domain.store_pack import StorePack
from mangaassist.serving.dialogue.reader import DialogueReader
from mangaassist.serving.facts.assembler import FactsAssembler, StoreServices

PACK = Path(__file__).parents[2] / "stores" / "jp-manga"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStore:
    """What a conversation needs of the store."""

    pack: StorePack
    catalog: PackCatalog
    reader: DialogueReader
    services: StoreServices
    assembler: FactsAssembler


@lru_cache(maxsize=1)
def demo_store() -> DemoStore:
    """Return the shipped store; immutable, so every test may share it."""
    pack = load_store_pack(PACK)
    catalog = PackCatalog(pack.series.records, pack.products.records)
    texts = [text for article in pack.articles.records for text in (article.body, *article.questions)]
    services = StoreServices(
        catalog=catalog,
        promotions=PackPromotionService(pack.promotions.records),
        orders=PackOrderService(pack.orders.records),
        customers=PackCustomerDirectory(pack.customers.records),
    )
    return DemoStore(
        pack=pack,
        catalog=catalog,
        reader=DialogueReader(catalog, texts=texts),
        services=services,
        assembler=FactsAssembler(services),
    )
