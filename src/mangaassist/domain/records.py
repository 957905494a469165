"""The wide row that every answer writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mangaassist.domain.chat import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One answer as one row: every id, version, score, token and duration."""

    response_id: str
    request_id: str
    trace_id: str
    session_id: str
    owner: str
    created_at: datetime
    intent: str
    confidence: float
    classification_path: str
    route: str
    release_bundle: str
    prompt_version: str
    model_id: str
    page_type: str
    user_type: str
    locale: str
    cache_hit: bool
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    latency_ms: float
    time_to_first_token_ms: float | None
    guardrail_action: str
    guardrail_scores: Mapping[str, float] = field(default_factory=dict)
    chunk_ids: tuple[str, ...] = ()
    step_ms: Mapping[str, float] = field(default_factory=dict)
    outcome: str = "answered"
    service_level: str = "full"
    sampling_reason: str = "all"
    deployment_stage: str = "prod"
    region: str = "local"
    assignments: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    provider: str = "none"
    stop_reason: str | None = None
    retries: int = 0
    fallback_model: bool = False
    cache_write_tokens: int = 0
    tokens_estimated: bool = False
    cost_usd: float | None = None
    guardrail_stage: str | None = None
    guardrail_rule: str | None = None
    guardrail_actions: Mapping[str, str] = field(default_factory=dict)
    chunk_hashes: tuple[str, ...] = ()
    prompt_hash: str | None = None
    capsule: str | None = None
    channel: Channel = "chat"
    guardrail_rules: Mapping[str, str] = field(default_factory=dict)
