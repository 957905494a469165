"""The security log: one line for every attack that a guardrail saw, without raw personal data."""

from __future__ import annotations

import logging
from typing import Final

from mangaassist.domain.guardrails import GuardrailVerdict, StageResult
from mangaassist.serving.exchange import Exchange

SECURITY_STAGES: Final = frozenset({"prompt_injection", "retrieved_injection", "input_toxicity"})
PREVIEW_CHARS: Final = 200
LOG = logging.getLogger("mangaassist.security")


def log_attacks(
    exchange: Exchange, verdict: GuardrailVerdict, text: str, *, chunk_id: str | None = None
) -> None:
    """Write a line for each security stage that objected, observed ones included."""
    for result in verdict.flagged:
        if result.stage in SECURITY_STAGES:
            LOG.warning("guardrail objected", extra=_fields(exchange, verdict, result, text, chunk_id))


def _fields(
    exchange: Exchange, verdict: GuardrailVerdict, result: StageResult, text: str, chunk_id: str | None
) -> dict[str, str | float | bool | None]:
    return {
        "trace_id": exchange.recorder.trace_id,
        "response_id": exchange.response_id,
        "phase": verdict.phase,
        "stage": result.stage,
        "action": result.action,
        "mode": result.mode,
        "failed": result.failed,
        "rule_id": result.rule_id,
        "score": result.score,
        "threshold": result.threshold,
        "flagged": ", ".join(f"{span.start}-{span.end}:{span.kind}" for span in result.spans),
        "ruleset": verdict.ruleset_version,
        "chunk_id": chunk_id,
        "preview": exchange.parts.guardrails.redact(text)[:PREVIEW_CHARS],
    }
