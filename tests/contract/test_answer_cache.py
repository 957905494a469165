"""What every answer cache promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mangaassist.adapters.embedded.answer_cache import InProcessAnswerCache
from mangaassist.adapters.redis.answer_cache import RedisAnswerCache
from mangaassist.ports.answer_cache import AnswerCache, CachedAnswer, CacheScope
from tests.support.clock import FakeClock, SequentialIds
from tests.support.redis_server import free_port

SCOPE = CacheScope(release_bundle="b1", knowledge_version="k1", locale="en-US", intent="faq")


@dataclass(frozen=True)
class Rig:
    cache: AnswerCache
    clock: FakeClock


@pytest.fixture(params=["in_process", pytest.param("redis", marks=pytest.mark.redis)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A cache that holds three answers a scope."""
    clock = FakeClock()
    if request.param == "in_process":
        yield Rig(InProcessAnswerCache(clock=clock, max_entries=3), clock)
        return
    cache = patient(request.getfixturevalue("redis_url"), clock, max_entries_per_scope=3)
    await cache.clear()
    yield Rig(cache, clock)
    await cache.close()


def patient(url: str, clock: FakeClock, *, max_entries_per_scope: int = 256) -> RedisAnswerCache:
    """A cache whose Redis may take as long as a busy test machine needs."""
    return RedisAnswerCache.connect(
        url, clock=clock, ids=SequentialIds(), timeout_s=5.0, max_entries_per_scope=max_entries_per_scope
    )


def vector(*components: float) -> NDArray[np.float32]:
    return np.array(components, dtype=np.float32)


async def test_an_empty_cache_misses(rig: Rig) -> None:
    assert await rig.cache.find(SCOPE, "hello", vector(1, 0), min_similarity=0.5) is None


@pytest.mark.parametrize("question", ["What is your return policy?", "  what is your RETURN policy "])
async def test_the_same_question_is_found_without_vectors(rig: Rig, question: str) -> None:
    await rig.cache.put(SCOPE, "What is your return policy?", None, b"\x00\xffpayload", ttl_s=60)

    assert await rig.cache.find(SCOPE, question, None, min_similarity=0.9) == CachedAnswer(
        question="What is your return policy?", payload=b"\x00\xffpayload", similarity=1.0
    )


async def test_the_nearest_question_of_the_asked_similarity_is_found(rig: Rig) -> None:
    await rig.cache.put(SCOPE, "far", vector(0, 1), b"far", ttl_s=60)
    await rig.cache.put(SCOPE, "near", vector(3, 4), b"near", ttl_s=60)

    found = await rig.cache.find(SCOPE, "asked", vector(4, 3), min_similarity=0.95)

    assert found is not None
    assert (found.question, found.payload) == ("near", b"near")
    assert found.similarity == pytest.approx(24 / 25)
    assert await rig.cache.find(SCOPE, "asked", vector(4, 3), min_similarity=0.97) is None
    assert await rig.cache.find(SCOPE, "asked", None, min_similarity=0.0) is None


async def test_an_exact_match_wins_over_a_nearer_vector(rig: Rig) -> None:
    await rig.cache.put(SCOPE, "one", vector(1, 0), b"1", ttl_s=60)
    await rig.cache.put(SCOPE, "two", vector(0, 1), b"2", ttl_s=60)

    found = await rig.cache.find(SCOPE, "Two!", vector(1, 0), min_similarity=0.9)

    assert found is not None
    assert found.payload == b"2"


@pytest.mark.parametrize("field", ["release_bundle", "knowledge_version", "locale", "intent", "page"])
async def test_scopes_share_nothing(rig: Rig, field: str) -> None:
    await rig.cache.put(SCOPE, "hello", vector(1, 0), b"answer", ttl_s=60)

    other = replace(SCOPE, **{field: "other"})

    assert await rig.cache.find(other, "hello", vector(1, 0), min_similarity=0.0) is None


async def test_entries_expire(rig: Rig) -> None:
    await rig.cache.put(SCOPE, "short", vector(1, 0), b"short", ttl_s=10)
    await rig.cache.put(SCOPE, "long", vector(4, 3), b"long", ttl_s=60)

    rig.clock.advance(10)

    assert await rig.cache.find(SCOPE, "short", None, min_similarity=0.5) is None
    found = await rig.cache.find(SCOPE, "short", vector(1, 0), min_similarity=0.5)
    assert found is not None
    assert found.payload == b"long"


async def test_the_oldest_entry_is_evicted(rig: Rig) -> None:
    for name in ("a", "b", "c"):
        await rig.cache.put(SCOPE, name, vector(1, 0), name.encode(), ttl_s=60)
    await rig.cache.put(SCOPE, "a", vector(1, 0), b"a again", ttl_s=60)

    await rig.cache.put(SCOPE, "d", vector(0, 1), b"d", ttl_s=60)

    found = {
        name: await rig.cache.find(SCOPE, name, None, min_similarity=1.0) for name in ("a", "b", "c", "d")
    }
    assert {name: hit.payload for name, hit in found.items() if hit} == {
        "a": b"a again",
        "c": b"c",
        "d": b"d",
    }


async def test_a_replaced_answer_is_gone_for_similar_questions_too(rig: Rig) -> None:
    await rig.cache.put(SCOPE, "hello", vector(1, 0), b"old", ttl_s=60)
    assert await rig.cache.find(SCOPE, "hi", vector(1, 0), min_similarity=0.9)

    await rig.cache.put(SCOPE, "hello", vector(0, 1), b"new", ttl_s=60)

    assert await rig.cache.find(SCOPE, "hi", vector(1, 0), min_similarity=0.9) is None
    found = await rig.cache.find(SCOPE, "hi", vector(0, 1), min_similarity=0.9)
    assert found is not None
    assert found.payload == b"new"


async def test_clearing_forgets_everything(rig: Rig) -> None:
    await rig.cache.put(SCOPE, "hello", vector(1, 0), b"answer", ttl_s=60)
    assert await rig.cache.find(SCOPE, "hi", vector(1, 0), min_similarity=0.9)

    await rig.cache.clear()

    assert await rig.cache.find(SCOPE, "hello", vector(1, 0), min_similarity=0.0) is None


@pytest.mark.parametrize("odd", [vector(0, 0), vector(float("nan"), 1), vector(1, 0, 0)])
async def test_a_vector_that_compares_with_nothing_is_a_miss(rig: Rig, odd: NDArray[np.float32]) -> None:
    await rig.cache.put(SCOPE, "hello", vector(1, 0), b"answer", ttl_s=60)

    assert await rig.cache.find(SCOPE, "asked", odd, min_similarity=0.1) is None


@pytest.mark.redis
async def test_replicas_share_answers_and_see_each_others_changes(redis_url: str) -> None:
    clock = FakeClock()
    one, two = patient(redis_url, clock), patient(redis_url, clock)
    await one.clear()
    await one.put(SCOPE, "hello", vector(1, 0), b"first", ttl_s=60)
    assert await two.find(SCOPE, "hi", vector(1, 0), min_similarity=0.9)

    await one.put(SCOPE, "goodbye", vector(0, 1), b"second", ttl_s=60)

    found = await two.find(SCOPE, "bye", vector(0, 1), min_similarity=0.9)
    assert found is not None
    assert found.payload == b"second"
    await one.close()
    await two.close()


async def test_a_redis_that_is_down_is_a_miss_and_is_left_alone_for_a_while() -> None:
    clock = FakeClock()
    cache = RedisAnswerCache.connect(f"redis://127.0.0.1:{free_port()}", clock=clock, ids=SequentialIds())

    await cache.put(SCOPE, "hello", None, b"answer", ttl_s=60)
    assert await cache.find(SCOPE, "hello", None, min_similarity=0.9) is None
    await cache.clear()
    assert not await cache.healthy()
    await cache.close()


async def test_a_redis_that_hangs_costs_one_timeout_a_second() -> None:
    connections = 0
    stop = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await stop.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clock = FakeClock()
    cache = RedisAnswerCache.connect(f"redis://127.0.0.1:{port}", clock=clock, ids=SequentialIds())

    for _ in range(10):
        assert await cache.find(SCOPE, "hello", None, min_similarity=0.9) is None
    assert connections == 1

    clock.advance(1)
    assert await cache.find(SCOPE, "hello", None, min_similarity=0.9) is None
    assert connections == 2
    stop.set()
    await cache.close()
    server.close()
    await server.wait_closed()
