"""The web application over a scripted pipeline and stores in memory, served by a real uvicorn."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import uvicorn

from mangaassist.domain.chat import (
    AnswerDone,
    AnswerEvent,
    AnswerReplaced,
    AnswerStarted,
    AnswerToken,
    ChatAnswer,
    ChatRequest,
    ProductCard,
    SourceRef,
)
from mangaassist.domain.errors import DependencyUnavailableError, InvalidRequestError, NotFoundError
from mangaassist.domain.generation import TokenUsage
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import Customer
from mangaassist.domain.trace import FinishedSpan, Trace
from mangaassist.domain.trace_context import parse_traceparent
from mangaassist.ports.traces import TraceCounters
from mangaassist.web.app import create_app
from mangaassist.web.identity import CustomerKeys, IdentityService
from mangaassist.web.limits import ConcurrencyGate, RateLimiter
from mangaassist.web.metrics import ServingMetrics
from mangaassist.web.services import ComponentHealth, SpanIntake, WebLimits, WebServices
from tests.support.clock import FakeClock, SequentialIds
from tests.support.memory_stores import InMemoryFeedbackStore, InMemorySessionStore
from tests.support.stored import make_write

SESSION_SECRET = "a secret of the tests that signs visitors"
INTAKE_TOKEN = "intake-token-of-the-tests"
CUSTOMER_SECRET = "another secret of the tests, for customers"
CUSTOMERS = (
    Customer(customer_id="C-1001", name="Mika Sato", email="mika@example.test", member=True, points=420),
    Customer(customer_id="C-1002", name="Jonas Weber", email="jonas@example.test"),
)
CARDS = (
    ProductCard(
        product_id="1421585618",
        series_id="vinland-saga",
        title="Vinland Saga, Vol. 1",
        kind="volume",
        format="hardcover",
        price_usd=19.99,
        in_stock=True,
        authors=("Makoto Yukimura",),
        age_rating="16+",
        reason="the same weight of war, but it grows towards peace",
    ),
    ProductCard(
        product_id="1591163889",
        series_id="mushishi",
        title="Mushishi, Vol. 1",
        kind="volume",
        format="paperback",
        price_usd=None,
        in_stock=False,
        authors=("Yuki Urushibara",),
        age_rating="13+",
        reason="eerie and quiet instead of brutal",
    ),
    ProductCard(
        product_id="B00A1B2C3D",
        series_id="frieren",
        title="Frieren: Beyond Journey's End, Vol. 1",
        kind="volume",
        format="ebook",
        price_usd=8.99,
        in_stock=None,
        authors=("Kanehito Yamada", "Tsukasa Abe"),
        age_rating="all",
    ),
)
SOURCES = (SourceRef(source_id="pol-1", kind="policy", title="Returns within 30 days"),)
DEFAULT_TOKENS = ("If you liked ", "Berserk, ", "try Vinland Saga ", "or Mushishi.")


@dataclass
class ScriptedAnswers:
    """A pipeline that does what the message says: `wait`, `fail first`, `fail midway`, `crash`, `replace`."""

    sessions: InMemorySessionStore
    clock: FakeClock
    ids: SequentialIds
    tokens: tuple[str, ...] = DEFAULT_TOKENS
    traces: dict[str, Trace] = field(default_factory=dict)
    asked: list[ChatRequest] = field(default_factory=list)
    waiting: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    pause_s: float = 0.0

    async def answer(self, request: ChatRequest) -> AsyncGenerator[AnswerEvent, None]:
        self.asked.append(request)
        if request.message == "fail first":
            raise DependencyUnavailableError("postgres at 10.0.0.7 refused the connection")
        await self.sessions.load(request.session_id, owner=request.identity.owner, last_turns=1)
        remote = parse_traceparent(request.traceparent)
        trace_id = remote[0] if remote else self.ids.trace_id()
        response_id = self.ids.sortable("resp")
        yield AnswerStarted(response_id=response_id, trace_id=trace_id, session_id=request.session_id)
        text = ""
        for token in self.tokens:
            text += token
            yield AnswerToken(text=token)
            if request.message == "fail midway":
                raise DependencyUnavailableError("the model at 10.0.0.8 hung up")
            if request.message == "crash":
                raise RuntimeError("a bug with a secret in its text")
            if request.message == "wait":
                await self._wait()
            if self.pause_s:
                await asyncio.sleep(self.pause_s)
        if request.message == "replace":
            text = "I would rather not say that."
            yield AnswerReplaced(text=text, reason="pii")
        answer = self._answer(request, response_id=response_id, trace_id=trace_id, text=text)
        await self._store(request, answer)
        yield AnswerDone(answer=answer)

    async def _wait(self) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    def _answer(self, request: ChatRequest, *, response_id: str, trace_id: str, text: str) -> ChatAnswer:
        return ChatAnswer(
            response_id=response_id,
            trace_id=trace_id,
            session_id=request.session_id,
            request_id=request.request_id,
            text=text,
            intent=Intent.RECOMMENDATION,
            confidence=0.97,
            route="llm",
            products=CARDS,
            sources=SOURCES,
            prompt_version="recommendation@v1.0",
            release_bundle="2026.11.0",
            usage=TokenUsage(input_tokens=812, output_tokens=34, cached_input_tokens=100),
            model_id="embedded-composer",
            latency_ms=12.5,
            overhead_ms=2.25,
        )

    async def _store(self, request: ChatRequest, answer: ChatAnswer) -> None:
        self.traces[answer.trace_id] = _trace(request, answer)
        write = make_write(
            answer.response_id,
            session_id=request.session_id,
            owner=request.identity.owner,
            user_text=request.message,
            created_at=self.clock.now(),
        )
        await self.sessions.append(replace(write, record=replace(write.record, trace_id=answer.trace_id)))

    def get(self, trace_id: str) -> Trace:
        if trace_id not in self.traces:
            raise NotFoundError(f"no trace {trace_id!r}")
        return self.traces[trace_id]


_SPANS = (
    ("handle_message", None, 0, 12_500),
    ("load_context", 0, 100, 400),
    ("apply_guardrails", 0, 420, 600),
    ("intent_classification", 0, 640, 1_900),
    ("retrieve_chunks", 0, 1_950, 4_100),
    ("rerank", 4, 3_300, 4_000),
    ("build_prompt", 0, 4_200, 4_350),
    ("bedrock_generate", 0, 4_400, 10_800),
    ("apply_guardrails", 0, 10_850, 11_200),
    ("persist_response", 0, 11_250, 12_400),
)


def _trace(request: ChatRequest, answer: ChatAnswer) -> Trace:
    spans = tuple(
        FinishedSpan(
            name=name,
            kind="TASK",
            span_id=f"{index:016x}",
            parent_id=None if parent is None else f"{parent:016x}",
            start_ns=start_us * 1_000,
            end_ns=end_us * 1_000,
            attributes={"intent": answer.intent.value, "chunks": ("a", "b"), "empty": ""},
        )
        for index, (name, parent, start_us, end_us) in enumerate(_SPANS)
    )
    return Trace(
        trace_id=answer.trace_id,
        response_id=answer.response_id,
        session_id=request.session_id,
        tags={
            "session_id": request.session_id,
            "intent": answer.intent.value,
            "prompt_version": answer.prompt_version,
            "release_bundle": answer.release_bundle,
            "bedrock_model_id": answer.model_id,
            "route": answer.route,
            "outcome": "answered",
        },
        spans=spans,
        request_preview=request.message,
        response_preview=answer.text,
    )


COMPONENTS = (
    ComponentHealth(name="text model", adapter="embedded composer", state="ready"),
    ComponentHealth(name="sessions", adapter="sqlite", state="ready"),
    ComponentHealth(
        name="encoder",
        adapter="none",
        state="degraded",
        detail="Lexical search answers. Run `mangaassist models fetch` for search by meaning.",
    ),
    ComponentHealth(
        name="mlflow", adapter="http", state="off", detail="Traces wait on disk until it is there."
    ),
)


class WebWorld:
    """Everything behind the application, at hand for a test."""

    def __init__(self, *, per_minute: int = 1_000_000, concurrent: int = 64, demo: bool = True) -> None:
        self.clock = FakeClock()
        self.ids = SequentialIds()
        self.spans_taken: list[tuple[bytes, bool]] = []
        self.sessions = InMemorySessionStore()
        self.answers = ScriptedAnswers(self.sessions, self.clock, self.ids)
        self.feedback = InMemoryFeedbackStore(self.sessions)
        self.components: tuple[ComponentHealth, ...] = COMPONENTS
        self.services = WebServices(
            answers=self.answers,
            feedback=self.feedback,
            records=self.sessions,
            archive=self.answers,
            identity=IdentityService(
                session_secret=SESSION_SECRET,
                customers=CustomerKeys(issuer="mangaassist", audience="shop", secret=CUSTOMER_SECRET),
                clock=self.clock,
                ids=self.ids,
            ),
            rate_limiter=RateLimiter(per_minute=per_minute, clock=self.clock),
            gate=ConcurrencyGate(limit=concurrent),
            limits=WebLimits(),
            metrics=ServingMetrics(),
            clock=self.clock,
            ids=self.ids,
            health=lambda: self.components,
            release_bundle=lambda: "2026.11.0",
            trace_counters=lambda: TraceCounters(
                accepted=12,
                shipped=9,
                pending=3,
                dropped=2,
                dropped_by_reason={"spool_full_held": 2},
                oldest_pending_s=4.5,
            ),
            demo_customers=CUSTOMERS if demo else (),
            allowed_origins=("https://partner.example",),
            span_intake=SpanIntake(token=INTAKE_TOKEN, take=self._take_spans),
        )

    def _take_spans(self, body: bytes, as_json: bool) -> None:
        if body == b"nonsense":
            raise InvalidRequestError("not an OTLP trace export")
        self.spans_taken.append((body, as_json))

    def customer_token(self, customer_id: str = "C-1001") -> str:
        return self.services.identity.issue_customer(customer_id, member=False)

    def visitor_token(self) -> str:
        return self.services.identity.issue_visitor()[0]


class _Server(uvicorn.Server):
    """Says when it is listening, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()


@contextmanager
def served(world: WebWorld) -> Iterator[str]:
    """Serve the application on a free port; yields its address without the scheme."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[WebServices]:
        yield world.services

    config = uvicorn.Config(
        create_app(opened), log_config=None, lifespan="on", timeout_graceful_shutdown=2, loop="asyncio"
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web-under-test")
        thread.start()
        try:
            assert server.listening.wait(10), "the server did not start"
            yield f"127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive(), "the server did not stop"


@contextmanager
def client_of(world: WebWorld) -> Iterator[httpx.Client]:
    """A client without cookies of a freshly served application."""
    with served(world) as address, httpx.Client(base_url=f"http://{address}", timeout=10) as client:
        yield client


def sse_events(text: str) -> list[tuple[str, Any]]:
    """Parse a whole server-sent event stream into (event, JSON document) pairs."""
    out = []
    for block in text.strip().split("\n\n"):
        name, data = "message", ""
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data += line.removeprefix("data: ")
        out.append((name, json.loads(data) if data != "[DONE]" else data))
    return out


def take_down(world: WebWorld, name: str) -> None:
    """Take one component down."""
    world.components = tuple(
        replace(component, state="down") if component.name == name else component
        for component in world.components
    )
