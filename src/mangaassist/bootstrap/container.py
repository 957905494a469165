"""Builds everything once and closes it in reverse order."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mangaassist.adapters.embedded.configuration import WatchedFileConfiguration
from mangaassist.adapters.embedded.store_services import PackCatalog, PackCustomerDirectory
from mangaassist.adapters.embedded.trace_spool import SpoolTraceArchive, SpoolTraceSink
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.generation import TextModels
from mangaassist.bootstrap.knowledge import Knowledge
from mangaassist.bootstrap.releases import Releases
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.bootstrap.store_pack import StoreServicesBundle, open_store_services
from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.answer_cache import AnswerCache
from mangaassist.serving.facts.assembler import FactsAssembler, StoreServices
from mangaassist.serving.dialogue.reader import DialogueReader
from mangaassist.serving.guardrails.redaction import Redactor
from mangaassist.serving.pipeline import ChatPipeline, PipelineServices

WATCH_INTERVAL_S = 0.5
LOG = logging.getLogger("mangaassist.bootstrap")


@dataclass(slots=True, kw_only=True)
class Container:
    """The composed product of one process."""

    settings: Settings
    clock: SystemClock
    ids: RandomIds
    storage: SqlStorage
    cache: AnswerCache
    store: StoreServicesBundle
    knowledge: Knowledge
    configuration: WatchedFileConfiguration
    releases: Releases
    traces: SpoolTraceSink
    archive: SpoolTraceArchive
    pipeline: ChatPipeline
    store_dir: Path
