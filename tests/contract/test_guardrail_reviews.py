"""What every review queue of the guardrails promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.guardrail_reviews import GuardrailReview
from mangaassist.ports.guardrail_reviews import GuardrailReviews, Labelling, ReviewFilter
from mangaassist.ports.sessions import SessionStore
from tests.support.clock import FakeClock, SequentialIds
from tests.support.memory_reviews import InMemoryGuardrailReviews
from tests.support.memory_stores import InMemorySessionStore
from tests.support.postgres import PostgresForTests
from tests.support.stored import MOMENT, make_write

ANY = ReviewFilter()


@dataclass(frozen=True)
class Queue:
    reviews: GuardrailReviews
    sessions: SessionStore
    clock: FakeClock

    async def put(self, *names: str, **changes: str) -> list[GuardrailReview]:
        """Queue reviews of answers that exist."""
        out = []
        for name in names:
            await self.sessions.append(make_write(name))
            review = GuardrailReview(
                response_id=name,
                created_at=self.clock.now(),
                reason="blocked",
                intent="recommendation",
                channel="stream",
                phase="output",
                stage="grounding_check",
                rule_id="low_support",
                action="replace",
                ruleset_version="gr-1",
                question="something like Monster?",
                text="Try 20th Century Boys.",
                findings={"grounding_check": {"score": 0.9, "claims": []}},
            )
            out.append(replace(review, **changes))  # type: ignore[arg-type]  # the tests' own field names
            await self.reviews.add(out[-1:])
        return out


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    clock = FakeClock()
    if request.param == "memory":
        sessions = InMemorySessionStore()
        yield Queue(InMemoryGuardrailReviews(clock, sessions), sessions, clock)
        return
    url = f"sqlite:///{tmp_path / 'mangaassist.db'}"
    if request.param == "postgres":
        server: PostgresForTests = request.getfixturevalue("postgres")
        url = server.new_database()
    storage = await SqlStorage.open(url, clock=clock, ids=SequentialIds())
    yield Queue(storage.reviews, storage.sessions, clock)
    await storage.close()


async def test_a_review_comes_back_as_it_was_queued(queue: Queue) -> None:
    (review,) = await queue.put("resp_1")
    assert await queue.reviews.get("resp_1") == review


async def test_the_first_review_of_a_response_stays(queue: Queue) -> None:
    (review,) = await queue.put("resp_1")
    assert await queue.reviews.add([replace(review, text="something else")]) == 0
    assert (await queue.reviews.get("resp_1")).text == review.text


async def test_reviews_are_found_page_by_page_oldest_first(queue: Queue) -> None:
    await queue.put("resp_1", "resp_2", "resp_3")
    first = await queue.reviews.find(ANY, limit=2)
    rest = await queue.reviews.find(ANY, limit=2, after=first[-1].response_id)
    assert [review.response_id for review in (*first, *rest)] == ["resp_1", "resp_2", "resp_3"]


async def test_reviews_are_found_by_stage_intent_label_and_time(queue: Queue) -> None:
    await queue.put("resp_1")
    await queue.put("resp_2", stage="pii_detection", intent="faq")
    await queue.reviews.label(Labelling(response_id="resp_2", label="fine", labelled_by="ann"))

    async def found(wanted: ReviewFilter) -> list[str]:
        return [review.response_id for review in await queue.reviews.find(wanted, limit=10)]

    assert await found(ReviewFilter(stage="pii_detection")) == ["resp_2"]
    assert await found(ReviewFilter(intent="recommendation")) == ["resp_1"]
    assert await found(ReviewFilter(labelled=True)) == ["resp_2"]
    assert await found(ReviewFilter(labelled=False)) == ["resp_1"]
    assert await found(ReviewFilter(since=queue.clock.now() + timedelta(days=1))) == []


async def test_a_label_is_kept_with_who_and_when_and_may_be_changed(queue: Queue) -> None:
    await queue.put("resp_1")
    await queue.reviews.label(Labelling(response_id="resp_1", label="violation", labelled_by="ann"))
    await queue.reviews.label(
        Labelling(response_id="resp_1", label="fine", labelled_by="bob", note="it is in the article")
    )
    review = await queue.reviews.get("resp_1")
    assert (review.label, review.labelled_by, review.note) == ("fine", "bob", "it is in the article")
    assert review.labelled_at == queue.clock.now()


async def test_the_words_of_answers_are_read_page_by_page(queue: Queue) -> None:
    await queue.put("resp_1", "resp_2", "resp_3")
    first = await queue.reviews.words(MOMENT, limit=2)
    rest = await queue.reviews.words(MOMENT, limit=2, after=first[-1].response_id)
    assert [(words.response_id, words.question) for words in (*first, *rest)] == [
        (f"resp_{number}", "something dark, please") for number in (1, 2, 3)
    ]
    assert await queue.reviews.words(MOMENT + timedelta(days=1), limit=2) == ()


async def test_what_is_not_queued_cannot_be_read_or_labelled(queue: Queue) -> None:
    with pytest.raises(NotFoundError):
        await queue.reviews.get("resp_9")
    with pytest.raises(NotFoundError):
        await queue.reviews.label(Labelling(response_id="resp_9", label="fine", labelled_by="ann"))
