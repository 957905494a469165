"""Feedback on answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from mangaassist.domain.feedback import FeedbackEvent


class FeedbackStore(Protocol):
    """Stores feedback durably.

    Every implementation promises: `add` raises `NotFoundError` when the response does not exist or is not
    `owner`'s, and `InvalidRequestError` when `trace_id` is not the response's; the same (response,
    value) again returns "repeated" and changes nothing; durable when it returns.
    """

    async def add(self, event: FeedbackEvent, *, owner: str) -> Literal["stored", "repeated"]:
        """Store one event."""
        ...

    async def disliked(self, response_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the responses that got a thumbs-down or led to an escalation."""
        ...

    async def of_response(self, response_id: str) -> tuple[FeedbackEvent, ...]:
        """Return the events of a response, oldest first."""
        ...
