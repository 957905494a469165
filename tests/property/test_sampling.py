"""Tail sampling: what matters is always kept, and the weights keep estimates unbiased."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.sampling import AnswerFacts, SamplingPolicy, uniform_of

PROD = AnswerFacts(
    outcome="answered", route="llm", deployment_stage="prod", environment="prod", latency_ms=100.0
)
RATES = st.floats(0, 1)
POLICIES = st.builds(
    SamplingPolicy,
    error=RATES,
    blocked=RATES,
    fallback=RATES,
    slow=RATES,
    canary=RATES,
    ordinary=st.builds(lambda rate: {"default": rate}, RATES),
)
FACTS = st.builds(
    AnswerFacts,
    outcome=st.just("answered"),
    route=st.sampled_from(["llm", "template", "unheard-of"]),
    deployment_stage=st.sampled_from(["prod", "canary", "shadow"]),
    environment=st.sampled_from(["prod", "staging", "dev"]),
    latency_ms=st.floats(0, 10_000),
    failed=st.booleans(),
    blocked=st.booleans(),
    degraded=st.booleans(),
    escalated=st.booleans(),
    experiment_id=st.none() | st.just("prompt-test"),
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"failed": True}, "error"),
        ({"blocked": True}, "blocked"),
        ({"degraded": True}, "fallback"),
        ({"escalated": True}, "escalation"),
        ({"latency_ms": 3_000.0}, "slow"),
        ({"latency_ms": 1_000.0, "route": "template"}, "slow"),
        ({"deployment_stage": "canary"}, "canary"),
        ({"deployment_stage": "shadow"}, "shadow"),
        ({"experiment_id": "prompt-test"}, "experiment"),
    ],
)
def test_what_matters_is_always_kept_and_says_why(changes: dict[str, object], reason: str) -> None:
    facts = replace(PROD, **changes)  # type: ignore[arg-type]  # fields by name
    for number in range(200):
        decision = SamplingPolicy().decide(f"resp_{number}", facts)
        assert (decision.sampled, decision.reason, decision.weight) == (True, reason, 1.0)


def test_ordinary_answers_are_kept_by_their_environment() -> None:
    ids = [f"resp_{number}" for number in range(20_000)]
    policy = SamplingPolicy()
    kept = sum(policy.decide(response_id, PROD).sampled for response_id in ids)
    # five standard deviations of a binomial share
    assert abs(kept / len(ids) - 0.1) < 5 * math.sqrt(0.1 * 0.9 / len(ids))
    staging = replace(PROD, environment="staging")
    assert all(policy.decide(response_id, staging).sampled for response_id in ids[:500])


@given(POLICIES, FACTS, st.text(min_size=1))
def test_a_decision_is_the_same_every_time_and_its_weight_is_one_over_the_rate(
    policy: SamplingPolicy, facts: AnswerFacts, response_id: str
) -> None:
    decision = policy.decide(response_id, facts)
    assert policy.decide(response_id, facts) == decision
    if decision.sampled:
        assert decision.weight >= 1.0
        assert uniform_of(response_id) < 1.0 / decision.weight * (1 + 1e-12)
    else:
        assert decision.weight == 0.0


@given(POLICIES, FACTS, st.text(min_size=1))
def test_learning_more_never_unkeeps_a_trace(
    policy: SamplingPolicy, facts: AnswerFacts, response_id: str
) -> None:
    later = replace(facts, failed=True, latency_ms=facts.latency_ms + 1)
    if policy.decide(response_id, facts).sampled:
        assert policy.decide(response_id, later).sampled


def test_weights_estimate_counts_and_sums_without_bias() -> None:
    """Horvitz and Thompson (1952): the mean over samples is the truth; here over 300 of them."""
    random = Random(7)
    policy = SamplingPolicy(canary=0.5, experiment=0.3, ordinary={"prod": 0.1, "default": 1.0})
    population = [
        replace(
            PROD,
            deployment_stage="canary" if random.random() < 0.2 else "prod",
            experiment_id="arm" if random.random() < 0.3 else None,
            failed=random.random() < 0.02,
            latency_ms=random.lognormvariate(6, 0.7),
        )
        for _ in range(1_000)
    ]
    truth = sum(facts.latency_ms for facts in population)
    estimates = []
    for sample in range(300):
        total = 0.0
        for number, facts in enumerate(population):
            total += policy.decide(f"resp_{sample}_{number}", facts).weight * facts.latency_ms
        estimates.append(total / truth)
    mean = sum(estimates) / len(estimates)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in estimates) / (len(estimates) - 1))
    assert abs(mean - 1.0) < 4 * deviation / math.sqrt(len(estimates))
    unweighted = sum(policy.decide(f"resp_{n}", f).sampled * f.latency_ms for n, f in enumerate(population))
    assert unweighted / truth < 0.6, "counting what was kept as if it were everything is far off"
