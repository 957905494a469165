"""Opens a store pack as the services that answers are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mangaassist.adapters.embedded.imported_series import GenerationImports
from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.adapters.embedded.store_services import (
    PackCatalog,
    PackCustomerDirectory,
    PackOrderService,
    PackPolicyLibrary,
    PackPromotionService,
)
from mangaassist.domain.store_pack import StoreManifest, StorePack


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreServicesBundle:
    """The services of one pack; `catalog` also serves what was imported beside it."""

    manifest: StoreManifest
    catalog: PackCatalog
    policies: PackPolicyLibrary
    promotions: PackPromotionService
    orders: PackOrderService
    customers: PackCustomerDirectory


def open_store_services(folder: Path, *, index_dir: Path) -> StoreServicesBundle:
    """Load the pack in `folder`; imported series are read from the generation served from `index_dir`."""
    pack = load_store_pack(folder)
    return services_of(pack, catalog=open_catalog(pack, index_dir=index_dir))


def open_catalog(pack: StorePack, *, index_dir: Path) -> PackCatalog:
    """Return the catalogue of a pack that follows the imports published in `index_dir`."""
    return PackCatalog(pack.series.records, pack.products.records, imported=GenerationImports(index_dir))


def services_of(pack: StorePack, *, catalog: PackCatalog) -> StoreServicesBundle:
    """Return the services of a loaded pack."""
    return StoreServicesBundle(
        manifest=pack.manifest,
        catalog=catalog,
        policies=PackPolicyLibrary(pack.articles.records),
        promotions=PackPromotionService(pack.promotions.records),
        orders=PackOrderService(pack.orders.records),
        customers=PackCustomerDirectory(pack.customers.records),
    )
