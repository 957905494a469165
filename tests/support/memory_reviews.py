"""The review queue in memory, held to the same contract suite as the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.guardrail_reviews import GuardrailReview
from mangaassist.ports.clock import Clock
from mangaassist.ports.guardrail_reviews import AnswerWords, Labelling, ReviewFilter
from tests.support.memory_stores import InMemorySessionStore


class InMemoryGuardrailReviews:
    def __init__(self, clock: Clock, sessions: InMemorySessionStore) -> None:
        self._clock = clock
        self._sessions = sessions
        self._reviews: dict[str, GuardrailReview] = {}

    async def add(self, reviews: Sequence[GuardrailReview]) -> int:
        before = len(self._reviews)
        for review in reviews:
            self._reviews.setdefault(review.response_id, review)
        return len(self._reviews) - before

    async def find(self, wanted: ReviewFilter, *, limit: int, after: str = "") -> tuple[GuardrailReview, ...]:
        found = [
            review
            for response_id, review in sorted(self._reviews.items())
            if response_id > after
            and wanted.stage in (None, review.stage)
            and wanted.intent in (None, review.intent)
            and wanted.labelled in (None, review.label is not None)
            and (wanted.since is None or review.created_at >= wanted.since)
        ]
        return tuple(found[:limit])

    async def get(self, response_id: str) -> GuardrailReview:
        if response_id not in self._reviews:
            raise NotFoundError(f"response {response_id!r} is not in the review queue")
        return self._reviews[response_id]

    async def words(self, since: datetime, *, limit: int, after: str = "") -> tuple[AnswerWords, ...]:
        turns = sorted(
            (turn for session in self._sessions.all_sessions() for turn in session.turns),
            key=lambda turn: turn.response_id,
        )
        return tuple(
            AnswerWords(response_id=turn.response_id, question=turn.user_text, text=turn.assistant_text)
            for turn in turns
            if turn.created_at >= since and turn.response_id > after
        )[:limit]

    async def label(self, labelling: Labelling) -> None:
        self._reviews[labelling.response_id] = replace(
            await self.get(labelling.response_id),
            label=labelling.label,
            note=labelling.note,
            labelled_by=labelling.labelled_by,
            labelled_at=self._clock.now(),
        )
