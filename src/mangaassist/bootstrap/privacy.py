"""Builds the recognisers and the redactor of a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.adapters.embedded.store_services import PackCatalog
from mangaassist.bootstrap.secrets import local_secret
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.ports.personal_data import PersonalDataDetector
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.personal_data.finder import PersonalDataFinder
from mangaassist.serving.guardrails.redaction import Redactor


def catalogue_names(catalog: Catalog) -> Iterator[str]:
    """Yield the titles and authors of the catalogue: names that are no shopper's."""
    for series in catalog.all_series():
        yield series.title
        yield from series.alt_titles
        yield from series.authors
        yield from (edition.name for edition in series.editions)


def pseudonym_key(data_dir: Path) -> bytes:
    """Return the key of this installation's pseudonyms, made at first use."""
    return bytes.fromhex(local_secret(data_dir / "keys" / "pseudonyms.key"))


def build_redactor(settings: Settings, catalog: Catalog) -> Redactor:
    """Return the redactor of the process."""
    return Redactor(
        finder=PersonalDataFinder(catalogue_names=catalogue_names(catalog)),
        key=pseudonym_key(settings.data_dir),
    )


def open_finder(settings: Settings) -> PersonalDataFinder:
    """Return the finder as it is with the store's pack, outside the server."""
    pack = load_store_pack(find_store_dir(settings))
    catalog = PackCatalog(pack.series.records, pack.products.records)
    return PersonalDataFinder(catalogue_names=catalogue_names(catalog))


def open_detector(settings: Settings, stack: AsyncExitStack) -> PersonalDataDetector | None:
    """Return the detector that the settings name beside our own recognisers, or None; `stack` closes it."""
    if settings.pii_detector == "comprehend":
        from mangaassist.adapters.aws.comprehend import ComprehendDetector

        comprehend = ComprehendDetector(
            region=settings.comprehend_region, endpoint_url=settings.comprehend_endpoint_url
        )
        stack.push_async_callback(comprehend.close)
        return comprehend
    if settings.pii_detector == "presidio":
        from mangaassist.adapters.presidio.detector import PresidioDetector, offline_analyzer

        return PresidioDetector(offline_analyzer())
    return None
