"""The capsule of an answer: everything that is needed to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mangaassist.domain.chat import ChatRequest, Turn
from mangaassist.domain.dialogue import DialogueState
from mangaassist.domain.generation import AnswerLimits, Message, ModelParameters
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import IntentDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedChunk:
    """A retrieved chunk: the address of its payload in the content store, and its scores."""

    chunk_id: str
    address: str
    score: float
    dense_score: float | None = None
    lexical_score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedPrompt:
    """What was sent to the model; `system` is the address of the system prefix."""

    prompt_version: str
    template_hash: str
    prompt_hash: str
    system: str
    messages: tuple[Message, ...]
    model_key: str
    provider: str
    model_id: str
    parameters: ModelParameters
    sent_max_tokens: int
    limits: AnswerLimits
    cache_prefix: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedVerdict:
    """What one guardrail stage said."""

    phase: str
    stage: str
    action: str
    score: float | None = None
    rule_id: str | None = None
    mode: str = "enforce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """One answer as it was made.

    `facts` come without their passages where those are among `chunks`. `raw_text` is what the model wrote
    before any guardrail; None when none did, or when it failed. `cached_from` is the response whose
    text was shared. Its JSON is stored encrypted; fields may be added, never renamed.
    """

    response_id: str
    trace_id: str
    moment: datetime
    request: ChatRequest
    turns: tuple[Turn, ...]
    state: DialogueState
    decision: IntentDecision
    handler: str
    service_level: str
    outcome: str
    release_bundle: str
    text: str
    versions: Mapping[str, str] = field(default_factory=dict)
    retrieved: bool = False
    chunks: tuple[CapturedChunk, ...] = ()
    facts: AnswerFacts | None = None
    prompt: CapturedPrompt | None = None
    raw_text: str | None = None
    verdicts: tuple[CapturedVerdict, ...] = ()
    prompt_version: str = "none"
    cached_from: str | None = None
    schema: int = 1
