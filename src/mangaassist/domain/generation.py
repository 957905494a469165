"""What is asked of a text model and what comes back, whatever the provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mangaassist.domain.trace_context import TraceContext

if TYPE_CHECKING:
    from mangaassist.domain.grounding import AnswerFacts

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "guardrail", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of the conversation as the model sees it."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParameters:
    """Sampling parameters; part of the release bundle."""

    temperature: float = 0.3
    max_tokens: int = 600
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLimits:
    """Limits that a prompt declares in its front matter and every generator obeys."""

    max_titles: int = 3
    max_words: int = 120
    tone: Literal["warm", "plain", "brief", "apologetic"] = "warm"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A finished prompt.

    `system` is the stable prefix (cacheable by the provider up to its end), `messages` the variable
    rest, oldest first, ending with the user's turn. `facts` holds, typed, exactly what the
    prompt states as text: the embedded composer answers from it, hosted models ignore it. `context` is the
    trace that the call belongs to, told to providers that can take it.
    """

    model_id: str
    system: str
    messages: tuple[Message, ...]
    parameters: ModelParameters = field(default_factory=ModelParameters)
    limits: AnswerLimits = field(default_factory=AnswerLimits)
    facts: AnswerFacts | None = None
    cache_prefix: bool = False
    context: TraceContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens as reported by the provider; `estimated` when it reported none.

    `input_tokens` counts uncached prompt tokens, `cached_input_tokens` those read from the
    provider's prompt cache, `cache_write_tokens` those written to it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the answer, in order."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFinished:
    """The last event of every successful stream: how it ended and what it used."""

    stop_reason: StopReason
    usage: TokenUsage
    model_id: str
    provider: str
    retries: int = 0
    fallback_used: bool = False
    time_to_first_token_ms: float | None = None


GenerationEvent = TextDelta | GenerationFinished
