"""One question through the whole pipeline in this process, for the command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from mangaassist.bootstrap.container import open_container
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.chat import (
    AnswerDone,
    AnswerReplaced,
    AnswerToken,
    ChatAnswer,
    ChatRequest,
    Identity,
    PageContext,
)
from mangaassist.domain.errors import InvalidRequestError, NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """What `mangaassist ask` was given."""

    text: str
    session_id: str | None = None
    customer_id: str | None = None
    bundle: str | None = None
    asin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer."""

    answer: ChatAnswer

    def document(self) -> dict[str, object]:
        """Return the JSON of `ask --json`."""
        answer = self.answer
        return {
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
                    "reason": card.reason,
                }
                for card in answer.products
            ],
            "sources": [
                {"source_id": source.source_id, "kind": source.kind, "title": source.title}
                for source in answer.sources
            ],
            "response_id": answer.response_id,
            "trace_id": answer.trace_id,
            "session_id": answer.session_id,
            "prompt_version": answer.prompt_version,
            "release_bundle": answer.release_bundle,
            "model_id": answer.model_id,
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "cache_hit": answer.cache_hit,
            "degraded": list(answer.degraded),
            "latency_ms": round(answer.latency_ms, 2),
        }


async def ask_once(
    settings: Settings,
    question: AskedQuestion,
    *,
    on_text: Callable[[str], None] = lambda text: None,
    on_replace: Callable[[str], None] = lambda text: None,
) -> Answered:
    """Answer one question; raises `NotFoundError` for an unknown customer, session or bundle."""
    if not question.text.strip():
        raise InvalidRequestError("the question is empty", field="text")
    if len(question.text) > settings.max_message_chars:
        raise InvalidRequestError(
            f"the question has {len(question.text)} characters; at most {settings.max_message_chars}",
            field="text",
        )
    async with open_container(settings) as container:
        identity = Identity(owner="visitor:command-line")
        if question.customer_id is not None:
            profile = await container.store.customers.profile(question.customer_id)
            if profile is None:
                known = ", ".join(customer.customer_id for customer in container.store.customers.customers())
                raise NotFoundError(f"there is no customer {question.customer_id!r}; known: {known}")
            identity = Identity(
                owner=f"customer:{profile.customer_id}",
                customer_id=profile.customer_id,
                user_type="member" if profile.member else "signed_in",
            )
        request = ChatRequest(
            request_id=container.ids.sortable("req"),
            session_id=question.session_id or container.ids.sortable("sess"),
            message=question.text,
            identity=identity,
            page_context=PageContext(asin=question.asin, page_type="product" if question.asin else "home"),
            release_bundle=question.bundle,
            channel="command_line",
        )
        answer: ChatAnswer | None = None
        async with aclosing(container.pipeline.answer(request)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    on_text(event.text)
                elif isinstance(event, AnswerReplaced):
                    on_replace(event.text)
                elif isinstance(event, AnswerDone):
                    answer = event.answer
    assert answer is not None, "a pipeline that did not raise has ended in AnswerDone"
    return Answered(answer=answer)
