"""What the web layer needs of the rest of the product."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from starlette.requests import HTTPConnection

from mangaassist.domain.chat import AnswerEvent, ChatRequest
from mangaassist.domain.records import RequestRecord
from mangaassist.domain.store import Customer
from mangaassist.ports.clock import Clock, IdFactory
from mangaassist.ports.feedback import FeedbackStore
from mangaassist.ports.traces import TraceArchive, TraceCounters
from mangaassist.web.identity import IdentityService
from mangaassist.web.limits import ConcurrencyGate, RateLimiter
from mangaassist.web.metrics import ServingMetrics


class Answers(Protocol):
    """The chat pipeline."""

    def answer(self, request: ChatRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the events of one answer, the last one `AnswerDone`."""
        ...


class AnswerRecords(Protocol):
    """What was stored of the answers; the session store keeps it."""

    async def record(self, response_id: str) -> RequestRecord:
        """Return the record of a response, or raise `NotFoundError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth:
    """One component as the health page shows it; `detail` says what a missing one would unlock."""

    name: str
    adapter: str
    state: Literal["ready", "degraded", "down", "off"]
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """Bounds of what is accepted."""

    max_message_chars: int = 4_000
    max_body_bytes: int = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanIntake:
    """Who may send spans of other services, and what stores them durably, off the event loop.

    `take(body, as_json)` raises `InvalidRequestError` for what is no OTLP, `DependencyError` when it cannot
    be stored.
    """

    token: str
    take: Callable[[bytes, bool], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """Everything a route may use; built once by the composition root, or by a test."""

    answers: Answers
    feedback: FeedbackStore
    records: AnswerRecords
    archive: TraceArchive
    identity: IdentityService
    rate_limiter: RateLimiter
    gate: ConcurrencyGate
    limits: WebLimits
    metrics: ServingMetrics
    clock: Clock
    ids: IdFactory
    health: Callable[[], Sequence[ComponentHealth]]
    release_bundle: Callable[[], str]
    trace_counters: Callable[[], TraceCounters]
    demo_customers: Sequence[Customer] = ()
    trace_url: Callable[[str], str | None] = lambda trace_id: None
    allowed_origins: tuple[str, ...] = ()
    span_intake: SpanIntake | None = None


def services_of(connection: HTTPConnection) -> WebServices:
    """Return the services of the application that serves this request or WebSocket."""
    services: WebServices = connection.app.state.services
    return services
