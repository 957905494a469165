"""Builds what finds root causes over a container."""

from __future__ import annotations

from datetime import datetime

from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.lineage import contents_of
from mangaassist.bootstrap.settings import Settings
from mangaassist.control.lineage.story import StoryTeller
from mangaassist.control.monitoring.collector import KnowledgeSources, RootCauses
from mangaassist.control.monitoring.diagnosis import Diagnosis
from mangaassist.control.monitoring.population import PopulationDiagnosis

FOUND = 5


def build_root_causes(container: Container) -> RootCauses:
    """Return the root causes of a container's answers."""
    store, storage, contents = container.store, container.storage, contents_of(container)
    return RootCauses(
        teller=StoryTeller(
            records=storage.records, feedback=storage.feedback, archive=container.archive, contents=contents
        ),
        records=storage.records,
        feedback=storage.feedback,
        contents=contents,
        sources=KnowledgeSources(catalog=store.catalog, policies=store.policies, promotions=store.promotions),
        search=lambda question: container.knowledge.search(question, limit=FOUND),
    )


async def diagnose_answer(settings: Settings, identifier: str) -> Diagnosis:
    """Return why an answer, given by any of its ids, was bad."""
    async with open_container(settings) as container:
        return await build_root_causes(container).of_answer(identifier)


async def diagnose_times(
    settings: Settings,
    *,
    before: tuple[datetime, datetime],
    now: tuple[datetime, datetime],
    intent: str | None,
    slow: bool,
) -> PopulationDiagnosis:
    """Return what changed between two times."""
    async with open_container(settings) as container:
        causes = build_root_causes(container)
        return await causes.of_population(before=before, now=now, intent=intent, slow=slow)
