"""A chat request, its answer, and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mangaassist.domain.generation import TokenUsage
from mangaassist.domain.intents import Intent

UserType = Literal["guest", "signed_in", "member"]
Handler = Literal["template", "api_template", "cached", "llm"]
Channel = Literal["chat", "stream", "websocket", "completions", "command_line"]
"""How an answer reaches its reader: JSON, server-sent events, WebSocket, the OpenAI form, the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """Where in the shop the question was asked."""

    page_type: str = "home"
    locale: str = "en-US"
    asin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks: `owner` is the stable key that owns sessions (`visitor:<id>` or `customer:<id>`)."""

    owner: str
    customer_id: str | None = None
    user_type: UserType = "guest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One validated message of one session."""

    request_id: str
    session_id: str
    message: str
    identity: Identity
    page_context: PageContext = field(default_factory=PageContext)
    release_bundle: str | None = None
    traceparent: str | None = None
    baggage: str | None = None
    channel: Channel = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCard:
    """What the page shows of a product. None is unknown and shown as such."""

    product_id: str
    series_id: str
    title: str
    kind: str
    format: str
    price_usd: float | None
    in_stock: bool | None
    authors: tuple[str, ...] = ()
    age_rating: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """A text that an answer rests on."""

    source_id: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """The response contract."""

    response_id: str
    trace_id: str
    session_id: str
    request_id: str
    text: str
    intent: Intent
    confidence: float
    route: Handler
    products: tuple[ProductCard, ...]
    sources: tuple[SourceRef, ...]
    prompt_version: str
    release_bundle: str
    usage: TokenUsage
    model_id: str
    latency_ms: float
    overhead_ms: float
    cache_hit: bool = False
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One stored exchange of a session."""

    response_id: str
    user_text: str
    assistant_text: str
    intent: Intent
    created_at: datetime


# --- events of one answer, in the order they leave the pipeline ---


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStarted:
    """The request was accepted; ids are known."""

    response_id: str
    trace_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerToken:
    """A piece of text that passed the streaming guardrails."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReplaced:
    """Forget the tokens shown so far and show `text` instead."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDone:
    """The answer is durable; the last event."""

    answer: ChatAnswer


AnswerEvent = AnswerStarted | AnswerToken | AnswerReplaced | AnswerDone
