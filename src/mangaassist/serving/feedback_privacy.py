"""Comments on answers lose their personal data before they are stored or sent anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.ports.feedback import FeedbackStore
from mangaassist.serving.guardrails.redaction import Redactor


class RedactedFeedback:
    """A `FeedbackStore` that hands redacted comments to another one."""

    def __init__(self, store: FeedbackStore, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

    async def add(self, event: FeedbackEvent, *, owner: str) -> Literal["stored", "repeated"]:
        """Store one event without what tells who wrote it."""
        if event.comment is not None:
            event = replace(event, comment=self._redactor.redact(event.comment, "feedback"))
        return await self._store.add(event, owner=owner)

    async def disliked(self, response_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the responses that got a thumbs-down or led to an escalation."""
        return await self._store.disliked(response_ids)

    async def of_response(self, response_id: str) -> tuple[FeedbackEvent, ...]:
        """Return the events of a response, oldest first."""
        return await self._store.of_response(response_id)
