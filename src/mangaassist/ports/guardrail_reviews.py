"""The review queue of guarded answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mangaassist.domain.guardrail_reviews import GuardrailReview, ReviewLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFilter:
    """Which reviews; None is any."""

    stage: str | None = None
    intent: str | None = None
    labelled: bool | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """What a person says of an answer."""

    response_id: str
    label: ReviewLabel
    labelled_by: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerWords:
    """The stored words of an answer, without personal data; `text` is what was shown."""

    response_id: str
    question: str
    text: str


class GuardrailReviews(Protocol):
    """Keeps reviews and their labels.

    Every implementation promises: `add` keeps the first review of a response and returns how many were new;
    `find` returns oldest first; `label` replaces an earlier label and raises `NotFoundError` for a response
    that is not in the queue; durable when it returns.
    """

    async def add(self, reviews: Sequence[GuardrailReview]) -> int:
        """Queue answers."""
        ...

    async def find(self, wanted: ReviewFilter, *, limit: int, after: str = "") -> Sequence[GuardrailReview]:
        """Return reviews; the next page starts `after` the last response id."""
        ...

    async def get(self, response_id: str) -> GuardrailReview:
        """Return one, or raise `NotFoundError`."""
        ...

    async def words(self, since: datetime, *, limit: int, after: str = "") -> Sequence[AnswerWords]:
        """Return what was asked and answered since then, by response id."""
        ...

    async def label(self, labelling: Labelling) -> None:
        """Say what an answer was."""
        ...
