"""The wire shapes of requests and answers, as published in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mangaassist.domain.chat import ChatAnswer
from mangaassist.domain.feedback import FeedbackValue
from mangaassist.web.bodies import clean_text

Text = Annotated[str, AfterValidator(clean_text)]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PageContextBody(_Strict):
    """Where in the shop the question is asked."""

    page_type: Literal["home", "product", "search", "category", "cart", "order", "other"] = "home"
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$")] = "en-US"
    asin: Annotated[str, Field(pattern=r"^[A-Z0-9]{10}$")] | None = None


class ChatBody(_Strict):
    """One message of a shopper."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"message": "something like Berserk but less grim"},
                {
                    "message": "is it in stock?",
                    "session_id": "sess_01JD8Z7",
                    "page_context": {"page_type": "product", "locale": "en-US", "asin": "1506711987"},
                },
            ]
        }
    )

    message: Annotated[Text, Field(description="At most 4,000 characters unless configured otherwise.")]
    session_id: Id | None = None
    page_context: PageContextBody | None = None


class FeedbackBody(_Strict):
    """What a shopper says of an answer; `timestamp` is accepted, the server's own time is stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "response_id": "resp_01JD8Z9",
                    "trace_id": "0af7651916cd43dd8448eb211c80319c",
                    "feedback": "thumbs_down",
                    "reason_code": "wrong_recommendation",
                    "comment": "I have read this one.",
                }
            ]
        }
    )

    response_id: Id
    trace_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    feedback: FeedbackValue
    timestamp: Annotated[datetime, Field(strict=False)] | None = None
    reason_code: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")] | None = None
    comment: Annotated[Text, Field(max_length=2_000)] | None = None
    value: (
        Annotated[
            float,
            Field(strict=False, ge=0, le=100_000, description="Worth of an outcome in US dollars."),
        ]
        | None
    ) = None


class TextPart(BaseModel):
    """A part of a message in the form of the OpenAI API; only text is understood."""

    model_config = ConfigDict(frozen=True)

    type: Literal["text"]
    text: str


class CompletionMessage(BaseModel):
    """One message in the form of the OpenAI API."""

    model_config = ConfigDict(frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | tuple[TextPart, ...] | None = None


class StreamOptions(BaseModel):
    """Whether the last chunk carries the usage."""

    include_usage: bool = False


class CompletionBody(BaseModel):
    """A request in the form of the OpenAI API; other members, such as sampling parameters, are ignored."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "mangaassist",
                    "messages": [{"role": "user", "content": "a funny manga for a ten-year-old"}],
                    "user": "conversation-1",
                }
            ]
        },
    )

    model: str = "mangaassist"
    messages: Annotated[tuple[CompletionMessage, ...], Field(min_length=1, max_length=500)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(min_length=1, max_length=256)] | None = None


class DemoLoginBody(_Strict):
    """Which demo customer to be."""

    customer_id: Id


class UsageView(BaseModel):
    """Tokens of one answer."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    estimated: bool


class ProductView(BaseModel):
    """A product card; null is unknown."""

    product_id: str
    series_id: str
    title: str
    kind: str
    format: str
    price_usd: float | None
    in_stock: bool | None
    authors: list[str]
    age_rating: str | None
    reason: str | None


class SourceView(BaseModel):
    """A text that the answer rests on."""

    source_id: str
    kind: str
    title: str


class AnswerView(BaseModel):
    """One answer."""

    response_id: str
    trace_id: str
    session_id: str
    text: str
    intent: str
    confidence: float
    route: str
    products: list[ProductView]
    sources: list[SourceView]
    prompt_version: str
    release_bundle: str
    model_id: str
    usage: UsageView
    cache_hit: bool
    latency_ms: float
    overhead_ms: float


def answer_view(answer: ChatAnswer) -> dict[str, object]:
    """Return the wire form of an answer: the members of `AnswerView`, as plain data for orjson."""
    usage = answer.usage
    return {
        "response_id": answer.response_id,
        "trace_id": answer.trace_id,
        "session_id": answer.session_id,
        "text": answer.text,
        "intent": answer.intent.value,
        "confidence": round(answer.confidence, 4),
        "route": answer.route,
        "products": [
            {
                "product_id": card.product_id,
                "series_id": card.series_id,
                "title": card.title,
                "kind": card.kind,
                "format": card.format,
                "price_usd": card.price_usd,
                "in_stock": card.in_stock,
                "authors": card.authors,
                "age_rating": card.age_rating,
                "reason": card.reason,
            }
            for card in answer.products
        ],
        "sources": [
            {"source_id": source.source_id, "kind": source.kind, "title": source.title}
            for source in answer.sources
        ],
        "prompt_version": answer.prompt_version,
        "release_bundle": answer.release_bundle,
        "model_id": answer.model_id,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "estimated": usage.estimated,
        },
        "cache_hit": answer.cache_hit,
        "latency_ms": round(answer.latency_ms, 3),
        "overhead_ms": round(answer.overhead_ms, 3),
    }
