"""What a guardrail stage may look at besides the text."""

from __future__ import annotations

from dataclasses import dataclass

from mangaassist.domain.chat import Channel, Handler
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent
from mangaassist.domain.retrieval import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailContext:
    """The question, and for answers what they were made from."""

    locale: str = "en-US"
    channel: Channel = "chat"
    question: str = ""
    intent: Intent | None = None
    handler: Handler | None = None
    facts: AnswerFacts | None = None
    chunks: tuple[Chunk, ...] = ()
