"""Stores in memory, held to the same contract suites as the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Literal

from mangaassist.domain.budget import BudgetPolicy, Reservation, ServiceLevel
from mangaassist.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from mangaassist.domain.experiments import Exposure, unit_of_owner
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.records import RequestRecord
from mangaassist.ports.clock import Clock
from mangaassist.ports.experiments import ObservedAnswer, PlanDocument
from mangaassist.ports.sessions import SessionContext, TurnWrite


class InMemorySessionStore:
    def __init__(self) -> None:
        self._sessions: dict[str, SessionContext] = {}
        self.records: dict[str, RequestRecord] = {}

    async def load(self, session_id: str, *, owner: str, last_turns: int) -> SessionContext:
        session = self._sessions.get(session_id)
        if session is None:
            return SessionContext(session_id=session_id, owner=owner)
        if session.owner != owner:
            raise NotFoundError(f"no session {session_id!r}")
        return replace(session, turns=session.turns[-last_turns:] if last_turns else ())

    async def append(self, write: TurnWrite) -> None:
        session = await self.load(write.session_id, owner=write.owner, last_turns=1_000_000)
        stored = self.records.get(write.turn.response_id)
        if stored is not None:
            if stored.session_id != write.session_id:
                raise ConflictError(f"response {write.turn.response_id!r} belongs to another session")
            return
        self.records[write.turn.response_id] = write.record
        self._sessions[write.session_id] = replace(
            session, turns=(*session.turns, write.turn), state=write.state, exists=True
        )

    def all_sessions(self) -> list[SessionContext]:
        return list(self._sessions.values())

    async def record(self, response_id: str) -> RequestRecord:
        if response_id not in self.records:
            raise NotFoundError(f"no response {response_id!r}")
        return self.records[response_id]


class InMemoryFeedbackStore:
    def __init__(self, sessions: InMemorySessionStore) -> None:
        self._sessions = sessions
        self._events: dict[tuple[str, str], FeedbackEvent] = {}

    async def add(self, event: FeedbackEvent, *, owner: str) -> Literal["stored", "repeated"]:
        record = self._sessions.records.get(event.response_id)
        if record is None or record.owner != owner:
            raise NotFoundError(f"no response {event.response_id!r}")
        if record.trace_id != event.trace_id:
            raise InvalidRequestError("not the trace of this response", field="trace_id")
        if (event.response_id, event.feedback) in self._events:
            return "repeated"
        self._events[event.response_id, event.feedback] = event
        return "stored"

    async def disliked(self, response_ids: Sequence[str]) -> frozenset[str]:
        bad = {of for (of, value) in self._events if value in ("thumbs_down", "escalation")}
        return frozenset(bad & set(response_ids))

    async def of_response(self, response_id: str) -> tuple[FeedbackEvent, ...]:
        events = [event for (of, _), event in self._events.items() if of == response_id]
        return tuple(sorted(events, key=lambda event: (event.timestamp, event.feedback_id)))


@dataclass
class _Entry:
    level: ServiceLevel
    reserved_tokens: int
    expires_at: datetime
    used_tokens: int | None = None

    def tokens(self, now: datetime) -> int:
        if self.used_tokens is not None:
            return self.used_tokens
        return self.reserved_tokens if now < self.expires_at else 0


@dataclass
class InMemoryBudgetStore:
    clock: Clock
    reservation_ttl_s: float = 300.0
    ledgers: dict[str, dict[str, _Entry]] = field(default_factory=dict)

    async def reserve(self, session_id: str, reservation_id: str, policy: BudgetPolicy) -> Reservation:
        now = self.clock.now()
        ledger = self.ledgers.setdefault(session_id, {})
        remaining = policy.limit_tokens - sum(entry.tokens(now) for entry in ledger.values())
        if reservation_id not in ledger:
            expires_at = now + timedelta(seconds=self.reservation_ttl_s)
            if remaining >= max(
                policy.full_reservation_tokens, policy.limit_tokens * policy.reduced_below_ratio
            ):
                ledger[reservation_id] = _Entry("full", policy.full_reservation_tokens, expires_at)
            elif remaining >= policy.reduced_reservation_tokens:
                ledger[reservation_id] = _Entry("reduced", policy.reduced_reservation_tokens, expires_at)
        entry = ledger.get(reservation_id)
        left = policy.limit_tokens - sum(entry.tokens(now) for entry in ledger.values())
        return Reservation(
            reservation_id=reservation_id,
            session_id=session_id,
            level=entry.level if entry else "minimal",
            reserved_tokens=entry.reserved_tokens if entry else 0,
            remaining_tokens=max(0, left),
        )

    async def settle(self, reservation: Reservation, *, used_tokens: int) -> None:
        if used_tokens == 0 and reservation.level == "minimal":
            return
        ledger = self.ledgers.setdefault(reservation.session_id, {})
        entry = ledger.setdefault(
            reservation.reservation_id,
            _Entry(reservation.level, reservation.reserved_tokens, self.clock.now()),
        )
        if entry.used_tokens is None:
            entry.used_tokens = used_tokens


class InMemoryExposureStore:
    def __init__(self, sessions: InMemorySessionStore, feedback: InMemoryFeedbackStore) -> None:
        self._sessions = sessions
        self._feedback = feedback
        self._exposures: dict[tuple[str, int, str], Exposure] = {}

    async def record(self, exposures: Sequence[Exposure]) -> None:
        for one in exposures:
            self._exposures.setdefault((one.experiment, one.phase, one.unit_id), one)

    async def of_experiment(self, experiment: str) -> tuple[Exposure, ...]:
        return tuple(one for key, one in sorted(self._exposures.items()) if key[0] == experiment)

    async def answers(
        self, experiment: str, *, since: datetime, after: str = "", limit: int
    ) -> tuple[ObservedAnswer, ...]:
        first: dict[str, Exposure] = {}
        for one in await self.of_experiment(experiment):
            first.setdefault(one.unit_id, one)
        found: list[ObservedAnswer] = []
        for record in sorted(self._sessions.records.values(), key=_by_time):
            exposure = first.get(unit_of_owner(record.owner, record.session_id))
            if exposure is not None and _by_time(record) > (since, after) and len(found) < limit:
                events = await self._feedback.of_response(record.response_id)
                given: frozenset[str] = frozenset(event.feedback for event in events)
                found.append(ObservedAnswer(exposure=exposure, record=record, feedback=given))
        return tuple(found)


def _by_time(record: RequestRecord) -> tuple[datetime, str]:
    return record.created_at, record.response_id


class InMemoryExperimentPlanStore:
    def __init__(self) -> None:
        self._lock = Lock()
        self._stored = PlanDocument(content={}, version="0")

    def read(self) -> PlanDocument:
        return self._stored

    def replace(self, content: dict[str, object], *, expected_version: str) -> PlanDocument:
        with self._lock:
            if self._stored.version != expected_version:
                raise ConflictError("the experiments have changed meanwhile")
            self._stored = PlanDocument(content=content, version=str(int(expected_version) + 1))
            return self._stored
