"""What stands in for the world when an answer is made again: nothing is stored, spent, shared or traced."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import numpy as np
import orjson
from numpy.typing import NDArray

from mangaassist.domain.budget import BudgetPolicy, Reservation
from mangaassist.domain.capsule import Capsule
from mangaassist.domain.contents import CustomerKey, SealedContent
from mangaassist.domain.experiments import Exposure
from mangaassist.domain.records import RequestRecord
from mangaassist.domain.trace import Trace
from mangaassist.ports.answer_cache import CachedAnswer, CacheScope
from mangaassist.ports.clock import Clock
from mangaassist.ports.experiments import ObservedAnswer
from mangaassist.ports.sessions import SessionContext, TurnWrite
from mangaassist.ports.traces import TraceCounters
from mangaassist.serving.token_limits import CHARACTERS_PER_TOKEN

PLENTY_TOKENS = 1_000_000


class RecordedClock:
    """The recorded moment, standing still; durations are real."""

    def __init__(self, moment: datetime, clock: Clock) -> None:
        self._moment = moment
        self._clock = clock

    def now(self) -> datetime:
        """Return the recorded moment."""
        return self._moment

    def monotonic_ns(self) -> int:
        """Return the real monotonic time."""
        return self._clock.monotonic_ns()

    def time_ns(self) -> int:
        """Return the real time."""
        return self._clock.time_ns()


class RecordedSession:
    """A `SessionStore` that knows the session as it was before the answer, and remembers what is appended."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule
        self.written: TurnWrite | None = None

    async def load(self, session_id: str, *, owner: str, last_turns: int) -> SessionContext:
        """Return the recorded context."""
        capsule = self._capsule
        return SessionContext(
            session_id=session_id,
            owner=owner,
            turns=capsule.turns,
            state=capsule.state,
            exists=bool(capsule.turns),
        )

    async def append(self, write: TurnWrite) -> None:
        """Remember the turn instead of storing it."""
        self.written = write

    async def record(self, response_id: str) -> RequestRecord:
        """Return the record of what was just appended."""
        assert self.written is not None, "a record is asked for only after its turn was appended"
        return self.written.record


class RecordedBudget:
    """A `BudgetStore` that grants what was granted then."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule

    async def reserve(self, session_id: str, reservation_id: str, policy: BudgetPolicy) -> Reservation:
        """Grant the recorded level, with as many tokens as bounded the recorded generation."""
        level = self._capsule.service_level
        return Reservation(
            reservation_id=reservation_id,
            session_id=session_id,
            level="reduced" if level == "reduced" else "minimal" if level == "minimal" else "full",
            reserved_tokens=0 if level == "minimal" else self._tokens(),
            remaining_tokens=0,
        )

    async def settle(self, reservation: Reservation, *, used_tokens: int) -> None:
        """Book nothing."""

    def _tokens(self) -> int:
        prompt = self._capsule.prompt
        if prompt is None or prompt.sent_max_tokens >= prompt.parameters.max_tokens:
            return PLENTY_TOKENS
        characters = sum(len(message.text) for message in prompt.messages)
        return math.ceil(characters / CHARACTERS_PER_TOKEN) + prompt.sent_max_tokens


class RecordedCache:
    """An `AnswerCache` that holds the shared answer that was found then, if one was."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule

    async def find(
        self, scope: CacheScope, question: str, vector: NDArray[np.float32] | None, *, min_similarity: float
    ) -> CachedAnswer | None:
        """Return the recorded text of an answer that was shared, else a miss."""
        capsule = self._capsule
        if capsule.handler != "cached" or capsule.prompt is not None:
            return None
        payload: dict[str, object] = {
            "text": capsule.text,
            "sources": [],
            "prompt_version": capsule.prompt_version,
            "model_id": "none",
            "response_id": capsule.cached_from,
        }
        return CachedAnswer(question=question, payload=orjson.dumps(payload))

    async def put(
        self,
        scope: CacheScope,
        question: str,
        vector: NDArray[np.float32] | None,
        payload: bytes,
        *,
        ttl_s: float,
    ) -> None:
        """Share nothing."""

    async def clear(self) -> None:
        """Forget nothing."""


class NoExposures:
    """An `ExposureStore` that keeps nothing: a replay exposes nobody."""

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """Store nothing."""

    async def of_experiment(self, experiment: str) -> tuple[Exposure, ...]:
        """Return nothing."""
        return ()

    async def answers(
        self, experiment: str, *, since: datetime, after: str = "", limit: int
    ) -> tuple[ObservedAnswer, ...]:
        """Return nothing."""
        return ()


class NoTraces:
    """A `TraceSink` that keeps nothing."""

    def accept(self, trace: Trace) -> None:
        """Let the trace go."""

    def counters(self) -> TraceCounters:
        """Return zeros."""
        return TraceCounters()

    def flush(self, timeout_s: float) -> None:
        """Return at once."""


class ScratchStore:
    """A `ContentStore` and the one customer key of a rerun, in memory and gone with it."""

    def __init__(self) -> None:
        self._contents: dict[str, SealedContent] = {}

    async def put(self, contents: Sequence[SealedContent]) -> None:
        """Keep them while the rerun lasts."""
        self._contents |= {content.address: content for content in contents}

    async def get(self, addresses: Collection[str]) -> Mapping[str, SealedContent]:
        """Return what is there."""
        return {address: self._contents[address] for address in addresses if address in self._contents}

    async def delete(self, addresses: Collection[str]) -> None:
        """Remove them."""
        for address in addresses:
            self._contents.pop(address, None)

    async def sweep(self, now: datetime, *, limit: int) -> int:
        """Remove nothing: a rerun is shorter than any retention."""
        return 0

    async def key_of(self, owner: str) -> CustomerKey:
        """Return a key of zeros: what it seals never leaves this process."""
        return CustomerKey(key_id="rerun", secret=bytes(32))

    async def find(self, key_id: str) -> CustomerKey:
        """Return the key of zeros."""
        return await self.key_of("")

    async def forget(self, owner: str) -> bool:
        """Forget nothing."""
        return False
