"""Builds everything once and closes it in reverse order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from random import SystemRandom

from mangaassist.adapters.embedded.configuration import WatchedFileConfiguration
from mangaassist.adapters.embedded.imported_series import GenerationImports
from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.adapters.embedded.store_services import (
    PackCatalog,
    PackCustomerDirectory,
    PackOrderService,
    PackPolicyLibrary,
    PackPromotionService,
)
from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_spool import SpoolTraceSink
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.configured import configured_document
from mangaassist.bootstrap.evidence import build_contents
from mangaassist.bootstrap.generation import TextModels
from mangaassist.bootstrap.health import PortHealth
from mangaassist.bootstrap.injection_screens import open_screen
from mangaassist.bootstrap.intent import Classifiers
from mangaassist.bootstrap.knowledge import Knowledge, ensure_index
from mangaassist.bootstrap.matrix_threads import use_one_matrix_thread
from mangaassist.bootstrap.observability import (
    SpanStore,
    build_remote_spans,
    build_trace_archive,
    build_trace_sink,
    mlflow_trace_url,
)
from mangaassist.bootstrap.privacy import build_redactor, catalogue_names, open_detector
from mangaassist.bootstrap.releases import Releases
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.bootstrap.traffic import Traffic, experiments_file, take_up_first_plan
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.store_pack import StorePack
from mangaassist.ports.answer_cache import AnswerCache
from mangaassist.ports.configuration import ConfigurationDocument
from mangaassist.serving.allocation import Allocator, ExposureLog
from mangaassist.serving.dialogue.reader import DialogueReader
from mangaassist.serving.facts.assembler import FactsAssembler, StoreServices
from mangaassist.serving.pipeline import ChatPipeline, PipelineServices

WATCH_INTERVAL_S = 0.5
LOG = logging.getLogger("mangaassist.bootstrap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The store's services."""

    catalog: PackCatalog
    policies: PackPolicyLibrary
    promotions: PackPromotionService
    orders: PackOrderService
    customers: PackCustomerDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The composed product of one process."""

    settings: Settings
    clock: SystemClock
    ids: RandomIds
    storage: SqlStorage
    cache: AnswerCache
    store: Store
    knowledge: Knowledge
    configuration: WatchedFileConfiguration
    experiments: WatchedFileConfiguration
    traffic: Traffic
    releases: Releases
    traces: SpoolTraceSink
    archive: SpoolTraceArchive
    span_intake: SpanStore
    pipeline: ChatPipeline

    def health(self) -> Sequence[PortHealth]:
        """Return the state of every port, without waiting for anything."""
        problem = self.configuration.current().problem
        counters = self.traces.counters()
        parts = self.releases.parts_of(None)
        models = sorted({f"{choice.provider}:{choice.model_id}" for choice in parts.bundle.models.values()})
        return (
            PortHealth(
                port="configuration",
                adapter="watched files",
                state="degraded" if problem else "ready",
                detail=f"keeping the last good version: {problem}" if problem else "",
            ),
            self._experiments_health(),
            PortHealth(
                port="storage",
                adapter=self.settings.effective_database_url.partition("://")[0],
                state="ready" if self.storage.healthy() else "down",
            ),
            self.knowledge.encoder_health(),
            self.knowledge.index_health(),
            PortHealth(port="generation", adapter=", ".join(models), state="ready"),
            PortHealth(port="answer cache", adapter=type(self.cache).__name__, state="ready"),
            PortHealth(
                port="traces",
                adapter="spool on disk, shipped by the worker",
                state="degraded" if counters.dropped else "ready",
                detail=f"{counters.dropped} dropped" if counters.dropped else "",
            ),
        )

    def _experiments_health(self) -> PortHealth:
        problem = self.experiments.current().problem
        return PortHealth(
            port="experiments",
            adapter="watched file",
            state="degraded" if problem else "ready",
            detail=f"keeping the last good plan: {problem}" if problem else f"{self.traffic.running} running",
        )

    def trace_url(self, trace_id: str) -> str | None:
        """Return the trace's page in MLflow, once the worker has told which experiment it is in."""
        return mlflow_trace_url(self.settings, trace_id)


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """Open every port, start the watcher, and close all of it at the end."""
    use_one_matrix_thread()
    store_dir = find_store_dir(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    clock, ids = SystemClock(), RandomIds()
    async with AsyncExitStack() as stack:
        storage = await SqlStorage.open(settings.effective_database_url, clock=clock, ids=ids)
        stack.push_async_callback(storage.close)
        pack = load_store_pack(store_dir)
        ensure_index(settings, store_dir, pack)
        knowledge = Knowledge(settings, clock=clock)
        stack.callback(knowledge.close)
        store = _open_store(settings, pack)
        cache = _open_cache(settings, clock, ids, stack)
        models = TextModels(settings, clock=clock, random=SystemRandom())
        stack.push_async_callback(models.close)
        traces = build_trace_sink(settings, clock=clock)
        stack.callback(traces.close)
        remote_spans = build_remote_spans(settings, clock=clock)
        stack.callback(remote_spans.close)
        redactor = build_redactor(settings, store.catalog)
        store.catalog.subscribe(lambda: redactor.finder.renew(catalogue_names(store.catalog)))
        detector = open_detector(settings, stack)
        classifiers = Classifiers(store_dir=store_dir)
        releases = Releases(
            store_dir=store_dir,
            manifest_dir=settings.data_dir / "bundles",
            name=store_dir.name,
            catalog=store.catalog,
            models=models,
            classifier=lambda: classifiers.current(knowledge.embedder),
            retriever=knowledge.retriever,
            embedder=lambda: knowledge.embedder,
            screen=open_screen(settings, stack),
            redactor=redactor,
            detector=detector,
        )
        configuration = WatchedFileConfiguration(
            defaults=store_dir / "config.yaml",
            override=settings.effective_config_file,
            beside=(store_dir / "guardrails", settings.data_dir / "guardrails"),
        )
        allocator = Allocator(releases.parts_of)
        traffic = Traffic(releases=releases, allocator=allocator)
        _activate_first(configuration, traffic, settings)
        experiments = WatchedFileConfiguration(defaults=None, override=experiments_file(settings))
        take_up_first_plan(experiments, traffic)
        reader = DialogueReader(
            store.catalog, texts=[f"{article.title} {article.body}" for article in store.policies.articles()]
        )
        store.catalog.subscribe(reader.renew)
        pipeline = ChatPipeline(
            services=PipelineServices(
                sessions=storage.sessions,
                budgets=storage.budgets,
                cache=cache,
                reader=reader,
                assembler=FactsAssembler(
                    StoreServices(
                        catalog=store.catalog,
                        promotions=store.promotions,
                        orders=store.orders,
                        customers=store.customers,
                    )
                ),
                traces=traces,
                redactor=redactor,
                clock=clock,
                ids=ids,
                exposures=ExposureLog(storage.exposures, clock=clock),
                environment=settings.env,
                region=settings.region,
                contents=build_contents(settings, storage, clock=clock),
                history_turns=settings.history_turns,
            ),
            allocator=allocator,
        )
        container = Container(
            settings=settings,
            clock=clock,
            ids=ids,
            storage=storage,
            cache=cache,
            store=store,
            knowledge=knowledge,
            configuration=configuration,
            experiments=experiments,
            traffic=traffic,
            releases=releases,
            traces=traces,
            archive=build_trace_archive(settings),
            span_intake=SpanStore(remote_spans, redact=redactor.redact, clock=clock),
            pipeline=pipeline,
        )
        watcher = asyncio.create_task(_watch(container), name="configuration-watcher")
        stack.push_async_callback(_stopped, watcher)
        yield container


def _open_store(settings: Settings, pack: StorePack) -> Store:
    return Store(
        catalog=PackCatalog(
            pack.series.records, pack.products.records, imported=GenerationImports(settings.index_dir)
        ),
        policies=PackPolicyLibrary(pack.articles.records),
        promotions=PackPromotionService(pack.promotions.records),
        orders=PackOrderService(pack.orders.records),
        customers=PackCustomerDirectory(pack.customers.records),
    )


def _open_cache(settings: Settings, clock: SystemClock, ids: RandomIds, stack: AsyncExitStack) -> AnswerCache:
    if settings.redis_url is None:
        from mangaassist.adapters.embedded.answer_cache import InProcessAnswerCache

        return InProcessAnswerCache(clock=clock)
    try:
        from mangaassist.adapters.redis.answer_cache import RedisAnswerCache
    except ModuleNotFoundError as error:
        raise ConfigurationError("`redis` is not installed; install the `redis` extra") from error

    cache = RedisAnswerCache.connect(settings.redis_url, clock=clock, ids=ids)
    stack.push_async_callback(cache.close)
    return cache


def _activate_first(configuration: WatchedFileConfiguration, traffic: Traffic, settings: Settings) -> None:
    """Serve the start-up configuration; when that is wrong, the last good one, else the pack's own."""
    try:
        traffic.serve(configured_document(configuration.current().content, settings))
        configuration.confirm()
    except ConfigurationError as error:
        LOG.error("the start-up configuration is refused", extra={"problem": str(error)})
        configuration.refuse(str(error))
        traffic.serve(configured_document(configuration.current().content, settings))

    def take_up(document: ConfigurationDocument) -> None:
        parts = traffic.serve(configured_document(document.content, settings))
        LOG.info("configuration taken up", extra={"release_bundle": parts.bundle.version})

    configuration.subscribe(take_up)


async def _watch(container: Container) -> None:
    """Take up changes of the configuration, the index and the encoder within a second."""
    while True:
        await asyncio.sleep(WATCH_INTERVAL_S)
        try:
            await asyncio.to_thread(_take_up_changes, container)
        except Exception:
            # the watcher outlives whatever is wrong; the last good parts go on serving
            LOG.exception("a change could not be taken up")


def _take_up_changes(container: Container) -> None:
    container.configuration.poll()
    container.experiments.poll()
    container.store.catalog.refresh()
    if container.knowledge.refresh():
        content = container.configuration.current().content
        parts = container.traffic.serve(configured_document(content, container.settings))
        LOG.info("knowledge taken up", extra={"release_bundle": parts.bundle.version})


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
