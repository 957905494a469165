"""Opens what explains and replays answers from the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.evidence import build_contents
from mangaassist.bootstrap.observability import build_trace_archive, mlflow_trace_url
from mangaassist.bootstrap.settings import Settings
from mangaassist.control.lineage.capsules import recorded_answer
from mangaassist.control.lineage.replay import Replayer, ReplayMode, ReplayReport, ReplayServices
from mangaassist.control.lineage.story import Story, StoryTeller
from mangaassist.domain.errors import NotFoundError
from mangaassist.serving.contents import Contents


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedStory:
    """A story with the address of its trace in MLflow, where that is known."""

    story: Story
    mlflow_url: str | None


async def tell(settings: Settings, identifier: str) -> LinkedStory:
    """Return the story of a response, trace, session or feedback id."""
    async with opened_storage(settings) as storage:
        teller = StoryTeller(
            records=storage.records,
            feedback=storage.feedback,
            archive=build_trace_archive(settings),
            contents=build_contents(settings, storage, clock=SystemClock()),
        )
        story = await teller.story_of(identifier)
    trace_id = story.record.trace_id if story.record else story.trace.trace_id if story.trace else ""
    return LinkedStory(story=story, mlflow_url=mlflow_trace_url(settings, trace_id))


async def replay(
    settings: Settings, identifier: str, *, mode: ReplayMode, bundle: str | None = None
) -> ReplayReport:
    """Make a kept answer again, with its own bundle or another; raises `NotFoundError` for an unknown id."""
    async with open_container(settings) as container:
        records = await container.storage.records.find(identifier, limit=1)
        if not records:
            raise NotFoundError(f"no response {identifier!r} is known here")
        recorded = await recorded_answer(records[0], contents_of(container))
        releases = container.releases
        parts = releases.parts_of(bundle) if bundle else releases.nearest(recorded.capsule.release_bundle)
        return await build_replayer(container).replay(recorded, parts, mode=mode, same_bundle=bundle is None)


def build_replayer(container: Container) -> Replayer:
    """Return a replayer over the store, knowledge and rules of a container."""
    services = container.pipeline.services
    return Replayer(
        ReplayServices(
            reader=services.reader,
            assembler=services.assembler,
            redactor=services.redactor,
            clock=services.clock,
            ids=services.ids,
            chunks_of=container.knowledge.chunks_of,
        )
    )


def contents_of(container: Container) -> Contents:
    """Return the contents of a container, which always keeps some."""
    contents = container.pipeline.services.contents
    assert contents is not None, "the container builds its pipeline with contents"
    return contents


@asynccontextmanager
async def opened_storage(settings: Settings) -> AsyncIterator[SqlStorage]:
    """Open the database alone."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    storage = await SqlStorage.open(settings.effective_database_url, clock=SystemClock(), ids=RandomIds())
    try:
        yield storage
    finally:
        await storage.close()
