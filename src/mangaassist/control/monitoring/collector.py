"""Gathers what a diagnosis looks at, from the stores and the sources of knowledge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from mangaassist.control.lineage.capsules import recorded_answer
from mangaassist.control.lineage.story import Story, StoryTeller
from mangaassist.control.monitoring.diagnosis import Diagnosis, diagnose
from mangaassist.control.monitoring.evidence import AnswerEvidence, usual_of
from mangaassist.control.monitoring.population import PopulationDiagnosis, diagnose_population, slowdown
from mangaassist.domain.errors import DamagedContentError, NotFoundError
from mangaassist.domain.records import RequestRecord
from mangaassist.domain.retrieval import Chunk
from mangaassist.ports.feedback import FeedbackStore
from mangaassist.ports.records import RequestRecords
from mangaassist.ports.store_services import Catalog, PolicyLibrary, PromotionService
from mangaassist.serving.contents import Contents
from mangaassist.serving.retrieval.chunking import chunk_of_article, chunk_of_promotion, chunks_of_series

PEERS: Final = 400
PEERS_OPENED: Final = 25
LOOKED_BACK: Final = timedelta(days=7)
POPULATION: Final = 50_000


class KnowledgeSources:
    """The sources that chunks are built from."""

    def __init__(self, *, catalog: Catalog, policies: PolicyLibrary, promotions: PromotionService) -> None:
        self._catalog = catalog
        self._policies = policies
        self._promotions = promotions

    def chunk(self, chunk_id: str) -> Chunk | None:
        """Return the chunk as its source would give it now, or None when the source is gone."""
        kind, _, ref = chunk_id.partition(":")
        if kind == "series":
            series = self._catalog.series(ref)
            chunks = chunks_of_series(series, self._catalog.products_of(ref)) if series else ()
            return next((chunk for chunk in chunks if chunk.chunk_id == chunk_id), None)
        if kind == "promotion":
            promotions = self._promotions.promotions()
            found = next((one for one in promotions if one.promotion_id == ref), None)
            return chunk_of_promotion(found) if found else None
        article = self._policies.article(ref)
        return chunk_of_article(article) if article and article.kind == kind else None

    def why_stale(self, chunk_id: str, sha256: str) -> str | None:
        """Return why a chunk, given by the hash of its text, is not what its source says, or None."""
        source = self.chunk(chunk_id)
        if source is None:
            return "its source is gone"
        if hashlib.sha256(source.text.encode()).hexdigest() != sha256:
            return "its text is not what its source says now"
        return None


class RootCauses:
    """Finds root causes; `search` returns the ids that a plain search of the index gives, best first."""

    def __init__(
        self,
        *,
        teller: StoryTeller,
        records: RequestRecords,
        feedback: FeedbackStore,
        contents: Contents,
        sources: KnowledgeSources,
        search: Callable[[str], Sequence[str]],
    ) -> None:
        self._teller = teller
        self._records = records
        self._feedback = feedback
        self._contents = contents
        self._sources = sources
        self._search = search

    async def of_answer(self, identifier: str) -> Diagnosis:
        """Return why an answer was bad; raises `NotFoundError` for one without a record."""
        story = await self._teller.story_of(identifier)
        if story.record is None:
            raise NotFoundError(f"no answer was stored for {identifier!r}: its trace is all there is")
        return diagnose(await self._evidence(story, story.record))

    async def of_population(
        self,
        *,
        before: tuple[datetime, datetime],
        now: tuple[datetime, datetime],
        intent: str | None = None,
        slow: bool = False,
    ) -> PopulationDiagnosis:
        """Compare two times: how many answers were disliked or blocked, or with `slow` where time went."""
        earlier = await self._records.between(*before, limit=POPULATION, intent=intent)
        later = await self._records.between(*now, limit=POPULATION, intent=intent)
        if slow:
            return PopulationDiagnosis(
                answers_before=len(earlier),
                bad_before=0,
                answers_now=len(later),
                bad_now=len(later),
                factors=slowdown(earlier, later),
            )
        bad = await self._bad((*earlier, *later))
        return diagnose_population(earlier, later, bad=bad, stale=self._sources.why_stale)

    async def _bad(self, records: Sequence[RequestRecord]) -> set[str]:
        blocked = {record.response_id for record in records if record.outcome in ("blocked", "fallback")}
        disliked = await self._feedback.disliked([record.response_id for record in records])
        return blocked | set(disliked)

    async def _evidence(self, story: Story, record: RequestRecord) -> AnswerEvidence:
        around = await self._records.between(
            record.created_at - LOOKED_BACK,
            record.created_at + LOOKED_BACK,
            limit=PEERS,
            intent=record.intent,
        )
        # what shoppers complained of is not what is usual
        disliked = await self._feedback.disliked([one.response_id for one in around])
        peers = [
            one for one in around if one.response_id != record.response_id and one.response_id not in disliked
        ]
        scores: dict[str, float | None] = {}
        for peer in peers[:PEERS_OPENED]:
            scores[peer.response_id] = await self._best_score(peer)
        answer = story.answer
        chunks = answer.chunks if answer else ()
        sources = {chunk.chunk_id: self._sources.chunk(chunk.chunk_id) for chunk in chunks}
        question = answer.capsule.facts.reading.resolved_text if answer and answer.capsule.facts else ""
        return AnswerEvidence(
            record=record,
            usual=usual_of(peers, record, scores.get),
            trace=story.trace,
            answer=answer,
            feedback=story.feedback,
            source_chunks={chunk_id: chunk for chunk_id, chunk in sources.items() if chunk is not None},
            found_now=tuple(self._search(question)) if question else (),
        )

    async def _best_score(self, record: RequestRecord) -> float | None:
        try:
            peer = await recorded_answer(record, self._contents)
        except (NotFoundError, DamagedContentError):
            return None
        scores = [one.lexical_score for one in peer.capsule.chunks if one.lexical_score is not None]
        return max(scores, default=None)
