"""The answer cache shared by all replicas, in Redis.

One scope is one hash of entries (by the digest of the normalised question) and one sorted set of their
age; both carry the scope's digest as hash tag, so that a cluster keeps them together. Every replica keeps
a copy of the vectors of a scope and fetches it again only when the scope's version has changed: a lookup
is one round trip of a few hundred bytes. Payloads are a kilobyte or two and stay uncompressed.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.questions import normalised_question
from mangaassist.ports.answer_cache import CachedAnswer, CacheScope
from mangaassist.ports.clock import Clock, IdFactory

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError as error:
    raise ConfigurationError("`redis` is not installed; install the `redis` extra") from error

T = TypeVar("T")

TIMEOUT_S: Final = 0.05
PAUSE_AFTER_FAILURE_S: Final = 1.0
"""How long a Redis that failed is left alone: every lookup meanwhile is a miss that costs nothing."""

_PREFIX: Final = "mangaassist:answers"
_HELD_SCOPES: Final = 32
_HEADER: Final = struct.Struct("<QII")  # expiry in ms, bytes of the question, bytes of the vector
_VERSION: Final = b"version"

# KEYS: entries, ages. ARGV: digest, entry, version, ttl in ms, most entries.
_PUT: Final = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 'version', ARGV[3])
local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
redis.call('ZADD', KEYS[2], (newest[2] or 0) + 1, ARGV[1])
while redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[5]) do
  redis.call('HDEL', KEYS[1], redis.call('ZPOPMIN', KEYS[2])[1])
end
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < tonumber(ARGV[4]) then redis.call('PEXPIRE', key, ARGV[4]) end
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A stored answer as it lies in Redis."""

    question: str
    payload: bytes
    vector: NDArray[np.float32]
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """This replica's copy of one version of a scope's vectors."""

    version: bytes
    entries: tuple[_Entry, ...]
    matrices: Mapping[int, tuple[tuple[int, ...], NDArray[np.float32]]]  # by dimension: entry numbers, rows


class RedisAnswerCache:
    """An `AnswerCache` for any number of replicas, at most `max_entries_per_scope` in each scope."""

    def __init__(
        self,
        client: Redis,
        *,
        clock: Clock,
        ids: IdFactory,
        timeout_s: float = TIMEOUT_S,
        max_entries_per_scope: int = 256,
    ) -> None:
        self._client = client
        self._clock = clock
        self._ids = ids
        self._timeout_s = timeout_s
        self._max_entries = max_entries_per_scope
        self._put = client.register_script(_PUT)
        self._held: OrderedDict[CacheScope, _Held] = OrderedDict()
        self._resting_until_ns = 0

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        clock: Clock,
        ids: IdFactory,
        timeout_s: float = TIMEOUT_S,
        max_entries_per_scope: int = 256,
    ) -> RedisAnswerCache:
        """Build the cache on a `redis://` URL; nothing is opened before the first use."""
        client = Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
        return cls(
            client, clock=clock, ids=ids, timeout_s=timeout_s, max_entries_per_scope=max_entries_per_scope
        )

    async def find(
        self, scope: CacheScope, question: str, vector: NDArray[np.float32] | None, *, min_similarity: float
    ) -> CachedAnswer | None:
        """Return the nearest stored answer, exact text match first; None is a miss."""
        return await self._guarded(lambda: self._find(scope, question, vector, min_similarity))

    async def put(
        self,
        scope: CacheScope,
        question: str,
        vector: NDArray[np.float32] | None,
        payload: bytes,
        *,
        ttl_s: float,
    ) -> None:
        """Store an answer; the same question again replaces it."""
        ttl_ms = max(1, int(ttl_s * 1000))
        text = question.encode("utf-8", "replace")
        unit = _unit(vector)
        numbers = b"" if unit is None else unit.astype("<f4").tobytes()
        header = _HEADER.pack(self._now_ms() + ttl_ms, len(text), len(numbers))
        arguments: list[bytes | str | int] = [
            _digest(normalised_question(question)),
            b"".join((header, text, numbers, payload)),
            self._ids.span_id(),
            ttl_ms,
            self._max_entries,
        ]
        await self._guarded(lambda: self._put(keys=_keys(scope), args=arguments))

    async def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        try:
            async for key in self._client.scan_iter(match=f"{_PREFIX}:*", count=1000):
                await self._client.unlink(key)
        except (RedisError, OSError, TimeoutError):
            self._rest()

    async def healthy(self) -> bool:
        """Whether Redis answers now."""
        try:
            async with asyncio.timeout(self._timeout_s * 4):
                return bool(await cast("Awaitable[Any]", self._client.ping()))
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _find(
        self, scope: CacheScope, question: str, vector: NDArray[np.float32] | None, min_similarity: float
    ) -> CachedAnswer | None:
        entries_key = _keys(scope)[0]
        digest = _digest(normalised_question(question))
        exact, version = await cast(
            "Awaitable[list[bytes | None]]", self._client.hmget(entries_key, [digest, _VERSION.decode()])
        )
        now_ms = self._now_ms()
        if exact is not None:
            entry = _decoded(exact)
            if now_ms < entry.expires_ms:
                return CachedAnswer(question=entry.question, payload=entry.payload)
        unit = _unit(vector)
        if version is None or unit is None:
            return None
        held = self._held.get(scope)
        if held is None or held.version != version:
            held = await self._fetch(scope, entries_key)
        return _nearest(held, unit, min_similarity=min_similarity, now_ms=now_ms)

    async def _fetch(self, scope: CacheScope, entries_key: str) -> _Held:
        """Copy a scope's entries, its version among them."""
        stored = await cast("Awaitable[dict[bytes, bytes]]", self._client.hgetall(entries_key))
        version = stored.pop(_VERSION, b"")
        entries = tuple(_decoded(value) for value in stored.values())
        matrices = {}
        for dimension in {len(entry.vector) for entry in entries} - {0}:
            numbers = tuple(at for at, entry in enumerate(entries) if len(entry.vector) == dimension)
            matrices[dimension] = (numbers, np.stack([entries[at].vector for at in numbers]))
        held = _Held(version=version, entries=entries, matrices=matrices)
        self._held[scope] = held
        self._held.move_to_end(scope)
        if len(self._held) > _HELD_SCOPES:
            self._held.popitem(last=False)
        return held

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Wait for Redis no longer than allowed; whatever goes wrong with it is a miss."""
        if self._clock.monotonic_ns() < self._resting_until_ns:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call()
        except (RedisError, OSError, TimeoutError, struct.error, ValueError):
            self._rest()
            return None

    def _rest(self) -> None:
        self._resting_until_ns = self._clock.monotonic_ns() + int(PAUSE_AFTER_FAILURE_S * 1e9)

    def _now_ms(self) -> int:
        return self._clock.time_ns() // 1_000_000


def _nearest(
    held: _Held, unit: NDArray[np.float32], *, min_similarity: float, now_ms: int
) -> CachedAnswer | None:
    """Return the best live entry of the copy."""
    if len(unit) not in held.matrices:
        return None
    numbers, matrix = held.matrices[len(unit)]
    similarities = matrix @ unit
    for row in np.argsort(-similarities, kind="stable"):
        similarity, entry = float(similarities[row]), held.entries[numbers[row]]
        if similarity < min_similarity:
            break
        if now_ms < entry.expires_ms:
            return CachedAnswer(question=entry.question, payload=entry.payload, similarity=similarity)
    return None


def _decoded(stored: bytes) -> _Entry:
    expires_ms, question_bytes, vector_bytes = _HEADER.unpack_from(stored)
    vector_at = _HEADER.size + question_bytes
    payload_at = vector_at + vector_bytes
    return _Entry(
        question=stored[_HEADER.size : vector_at].decode(),
        payload=stored[payload_at:],
        vector=np.frombuffer(stored[vector_at:payload_at], dtype="<f4"),
        expires_ms=expires_ms,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _unit(vector: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """Return the vector at length one; None when it has no direction."""
    if vector is None:
        return None
    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if np.isfinite(length) and length > 0 else None


def _keys(scope: CacheScope) -> tuple[str, str]:
    """Return the keys of a scope's entries and of their ages."""
    digest = _digest("\x1f".join(astuple(scope)))
    tag = f"{_PREFIX}:{{{digest}}}"
    return f"{tag}:entries", f"{tag}:ages"
