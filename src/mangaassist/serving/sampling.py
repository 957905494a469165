"""What the sampling rules see of an exchange, and what outgoing calls say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mangaassist.domain.intents import Intent
from mangaassist.domain.sampling import AnswerFacts, SamplingDecision
from mangaassist.domain.trace_context import parse_baggage
from mangaassist.domain.trace_contract import RESPONSE_OUTCOMES
from mangaassist.serving.exchange import Exchange

BAGGAGE_PREFIX: Final = "mangaassist."


def sampling_of(exchange: Exchange, *, environment: str) -> SamplingDecision:
    """Return the decision as things stand; later ones keep at least what earlier ones kept."""
    understood = exchange.understood
    response = exchange.outcome in RESPONSE_OUTCOMES
    facts = AnswerFacts(
        outcome=exchange.outcome,
        route=exchange.handler,
        deployment_stage=exchange.parts.deployment_stage,
        environment=environment,
        latency_ms=exchange.elapsed_ms(),
        failed=exchange.recorder.has_error() or not (response or exchange.outcome == "abandoned"),
        blocked=exchange.outcome == "blocked",
        degraded=exchange.outcome in ("fallback", "budget_exhausted") or bool(exchange.degraded),
        escalated=understood is not None and understood.decision.intent is Intent.ESCALATION,
        experiment_id=exchange.assignments[0].experiment if exchange.assignments else None,
    )
    return exchange.parts.sampling.decide(exchange.response_id, facts)


def recorded_reason(decision: SamplingDecision | None) -> str:
    """Return what the request record says of a decision: `held` for a trace outside the sample."""
    if decision is None:
        return "all"
    return decision.reason if decision.sampled else "held"


def baggage_of(header: str | None, *, redact: Callable[[str], str]) -> dict[str, str]:
    """Return the caller's baggage as far as it may travel on: nothing personal, nothing in our own name."""
    return {
        key: value
        for key, value in parse_baggage(header).items()
        if not key.startswith(BAGGAGE_PREFIX) and redact(value) == value
    }


def outgoing_baggage(exchange: Exchange) -> dict[str, str]:
    """Return the baggage of a call that this exchange makes: what made the answer, then the caller's."""
    return {
        f"{BAGGAGE_PREFIX}release_bundle": exchange.parts.bundle.version,
        f"{BAGGAGE_PREFIX}deployment_stage": exchange.parts.deployment_stage,
        f"{BAGGAGE_PREFIX}response_id": exchange.response_id,
        **exchange.baggage,
    }
