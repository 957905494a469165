"""Which traces are kept: rules as data, one decision a trace, weights that keep estimates unbiased.

The decision is made when the trace is complete. A trace that is not kept waits for its window and is still
kept whole when feedback, an escalation or an alert names it. One uniform number a response, derived from its
id, decides under every rule, so the chance of being kept is the largest rate of the rules that match, and a
kept trace stands for 1 / rate traces (Horvitz and Thompson, 1952). What is kept later, because of what
happened later, weighs 0: it is there to be read and stays out of estimates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ORDINARY: Final = "ordinary"
PROMOTIONS: Final = frozenset({"feedback", "escalation", "alert", "request"})
"""Reasons for which a waiting trace is kept after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingDecision:
    """Whether a trace is kept, why, and how many traces it stands for; 0 when it is not in the sample."""

    sampled: bool
    reason: str
    weight: float


KEEP_ALL: Final = SamplingDecision(sampled=True, reason="all", weight=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """What the rules look at; `failed` is an error the shopper saw or a step that threw."""

    outcome: str
    route: str
    deployment_stage: str
    environment: str
    latency_ms: float
    failed: bool = False
    blocked: bool = False
    degraded: bool = False
    escalated: bool = False
    experiment_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingPolicy:
    """The rates, each between 0 and 1; routes, stages and environments without one take `default`.

    `slow_ms` is the latency from which an answer of a route counts as slow. An abandoned request counts as an
    ordinary one unless a step of it failed.
    """

    error: float = 1.0
    blocked: float = 1.0
    fallback: float = 1.0
    escalation: float = 1.0
    slow: float = 1.0
    canary: float = 1.0
    shadow: float = 1.0
    experiment: float = 1.0
    ordinary: Mapping[str, float] = field(default_factory=lambda: {"prod": 0.1, "default": 1.0})
    slow_ms: Mapping[str, float] = field(default_factory=lambda: {"llm": 3_000.0, "default": 1_000.0})

    def decide(self, response_id: str, facts: AnswerFacts) -> SamplingDecision:
        """Return the decision; the reason is the matching rule of the largest rate, the first of equals."""
        reason, rate = max(self._matching(facts), key=lambda rule: rule[1])
        if uniform_of(response_id) < rate:
            return SamplingDecision(sampled=True, reason=reason, weight=1.0 / rate)
        return SamplingDecision(sampled=False, reason=reason, weight=0.0)

    def _matching(self, facts: AnswerFacts) -> list[tuple[str, float]]:
        rules = [
            ("error", self.error, facts.failed),
            ("blocked", self.blocked, facts.blocked),
            ("fallback", self.fallback, facts.degraded),
            ("escalation", self.escalation, facts.escalated),
            ("slow", self.slow, facts.latency_ms >= _of(self.slow_ms, facts.route)),
            ("canary", self.canary, facts.deployment_stage == "canary"),
            ("shadow", self.shadow, facts.deployment_stage == "shadow"),
            ("experiment", self.experiment, facts.experiment_id is not None),
            (ORDINARY, _of(self.ordinary, facts.environment), True),
        ]
        return [(name, rate) for name, rate, matches in rules if matches]


def uniform_of(response_id: str) -> float:
    """Return a number in [0, 1) that only the id decides; the caller of a request has no say in it."""
    digest = hashlib.blake2b(response_id.encode(), digest_size=8, person=b"trace-sampling").digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def _of(table: Mapping[str, float], name: str) -> float:
    return table[name] if name in table else table["default"]
