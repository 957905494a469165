"""The cache of one process against a plain list of what was stored."""

from __future__ import annotations

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mangaassist.adapters.embedded.answer_cache import InProcessAnswerCache
from mangaassist.domain.questions import normalised_question
from mangaassist.ports.answer_cache import CacheScope
from tests.support.clock import FakeClock

QUESTIONS = st.sampled_from([f"q{number}" for number in range(12)])
DIRECTIONS = st.integers(min_value=0, max_value=15)
PUTS = st.lists(st.tuples(QUESTIONS, st.integers(0, 1), DIRECTIONS, st.sampled_from([5, 50])), max_size=40)
MOST = 6


def direction(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    angle = number * 2 * np.pi / 16
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


def scope(number: int) -> CacheScope:
    return CacheScope(release_bundle=str(number), knowledge_version="k", locale="en", intent="faq")


@settings(max_examples=150, deadline=None)
@given(puts=PUTS, asked=DIRECTIONS, of=st.integers(0, 1), minimum=st.sampled_from([-1.0, 0.0, 0.9]))
def test_the_nearest_live_answer_is_found(
    puts: list[tuple[str, int, int, int]], asked: int, of: int, minimum: float
) -> None:
    clock = FakeClock()
    cache = InProcessAnswerCache(clock=clock, max_entries=MOST)
    kept: dict[tuple[int, str], tuple[int, float]] = {}
    now = 0.0

    async def play() -> float | None:
        nonlocal now
        for question, number, towards, ttl_s in puts:
            await cache.put(scope(number), question, direction(towards), b"", ttl_s=ttl_s)
            kept.pop((number, question), None)
            while len(kept) >= MOST:
                kept.pop(next(iter(kept)))
            kept[number, question] = (towards, now + ttl_s)
            clock.advance(1)
            now += 1
        found = await cache.find(scope(of), "asked", direction(asked), min_similarity=minimum)
        return None if found is None else found.similarity

    similarity = asyncio.run(play())

    live = [
        float(direction(towards) @ direction(asked))
        for (number, _), (towards, until) in kept.items()
        if number == of and now < until
    ]
    best = max(live, default=-2.0)
    if abs(best - minimum) > 1e-5:
        assert (similarity is None) == (best < minimum)
    if similarity is not None:
        assert abs(similarity - best) < 1e-5


@given(st.text())
def test_normalising_a_question_twice_changes_nothing(text: str) -> None:
    once = normalised_question(text)

    assert normalised_question(once) == once


def test_only_case_spaces_and_punctuation_are_ignored() -> None:
    same = ["What's new?", "  what's   NEW", "Whats new!?"]
    assert {normalised_question(text) for text in same} == {"whats new"}
    different = ["under $10", "under €10", "10%", "10", "1.5", "1 5", "15", "❤", "😡", "か", "が", "#3"]
    assert len({normalised_question(text) for text in different}) == len(different)
