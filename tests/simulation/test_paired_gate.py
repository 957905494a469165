"""G6: at the planned size the gate passes an equal system nine times in ten, a bad one hardly ever."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mangaassist.stats.gate import GatePolicy, GateVerdict, decide, plan
from mangaassist.stats.paired import PairedSummary
from tests.simulation.rates import observed
from tests.support.outcomes import computed

POLICY = GatePolicy()
STRATA = (0.35, 0.22, 0.18, 0.12, 0.13)


def differences(
    generator: np.random.Generator, n: int, *, discordance: float, difference: float
) -> np.ndarray:
    gain, lose = (discordance + difference) / 2, (discordance - difference) / 2
    return generator.choice([-1.0, 0.0, 1.0], p=[lose, 1 - discordance, gain], size=n)


def verdicts(
    replicates: int, *, seed: int, n: int, discordance: float, difference: float, stratified: bool
) -> Counter[GateVerdict]:
    generator = np.random.default_rng(seed)
    counted: Counter[GateVerdict] = Counter()
    for _ in range(replicates):
        cases = differences(generator, n, discordance=discordance, difference=difference)
        stratum = generator.choice(len(STRATA), p=STRATA, size=n)
        parts = (
            {str(at): PairedSummary.of(cases[stratum == at]) for at in range(len(STRATA))}
            if stratified
            else {}
        )
        counted[decide(PairedSummary.of(cases), parts, policy=POLICY).verdict] += 1
    return counted


@pytest.mark.parametrize(
    "replicates",
    [pytest.param(600, id="small"), pytest.param(10_000, id="full", marks=pytest.mark.full_size)],
)
@pytest.mark.parametrize("discordance", [0.06, 0.15])
def test_error_rates_at_the_planned_size(discordance: float, replicates: int) -> None:
    n = computed(plan(discordance, {}, policy=POLICY))
    rates = {}
    for label, difference in (("equal", 0.0), ("at the margin", -0.02), ("twice the margin", -0.04)):
        counted = verdicts(
            replicates, seed=61, n=n, discordance=discordance, difference=difference, stratified=False
        )
        rates[label] = observed(
            f"n = {n}, {discordance:.0%} discordant, {label}, passes", counted[GateVerdict.PASS], replicates
        )
    assert rates["equal"].high >= 0.9
    assert rates["at the margin"].low <= 0.05
    assert rates["twice the margin"].low <= 0.01
    if replicates >= 10_000:
        assert rates["equal"].value >= 0.895
        assert rates["at the margin"].value <= 0.055
        assert rates["twice the margin"].value <= 0.01


@pytest.mark.parametrize(
    "replicates", [pytest.param(60, id="small"), pytest.param(2_000, id="full", marks=pytest.mark.full_size)]
)
def test_error_rates_with_strata_at_the_planned_size(replicates: int) -> None:
    strata = {str(at): (share, 0.1) for at, share in enumerate(STRATA)}
    n = computed(plan(0.1, strata, policy=POLICY))
    rates = {}
    for label, difference in (("equal", 0.0), ("twice the margin", -0.04)):
        counted = verdicts(replicates, seed=62, n=n, discordance=0.1, difference=difference, stratified=True)
        rates[label] = observed(
            f"n = {n} in 5 strata, {label}, passes", counted[GateVerdict.PASS], replicates
        )
    assert rates["equal"].high >= 0.9
    assert rates["twice the margin"].low <= 0.01
    if replicates >= 2_000:
        assert rates["equal"].value >= 0.9
        assert rates["twice the margin"].value <= 0.01


@pytest.mark.parametrize(
    "replicates",
    [pytest.param(600, id="small"), pytest.param(10_000, id="full", marks=pytest.mark.full_size)],
)
def test_conversations_at_the_margin_pass_at_most_one_time_in_twenty(replicates: int) -> None:
    generator = np.random.default_rng(63)
    conversations, turns = 250, 4
    clusters = np.repeat(np.arange(conversations), turns)
    passed = 0
    for _ in range(replicates):
        # a conversation's turns share their leaning to gain or lose; the mean difference is the margin
        leaning = generator.normal(-POLICY.margin, 0.1, conversations)[clusters]
        scores = leaning + generator.normal(0, 0.2, conversations * turns)
        verdict = decide(PairedSummary.of(scores, clusters), {}, policy=POLICY).verdict
        passed += verdict is GateVerdict.PASS
    rate = observed("conversations at the margin, passes", passed, replicates)
    assert rate.low <= 0.05
    if replicates >= 10_000:
        assert 0.04 <= rate.value <= 0.057


@pytest.mark.parametrize(("n", "equal_passes", "worse_passes"), [(500, 0.61, 0.26), (2_000, 0.66, 0.08)])
def test_accuracy_within_a_fifth_of_a_point_is_no_gate(
    n: int, equal_passes: float, worse_passes: float
) -> None:
    # the sources' rule: candidate >= champion - 0.2 points, with 6 % discordant cases
    replicates = 4_000
    generator = np.random.default_rng(64)
    for label, difference, expected in (("equal", 0.0, equal_passes), ("1 point worse", -0.01, worse_passes)):
        gain, lose = (0.06 + difference) / 2, (0.06 - difference) / 2
        counts = generator.multinomial(n, [gain, lose, 0.94], size=replicates)
        passed = int((counts[:, 0] - counts[:, 1] >= -0.002 * n - 1e-9).sum())
        rate = observed(f"sources' rule, n = {n}, {label}, passes", passed, replicates)
        assert rate.low <= expected + 0.01
        assert rate.high >= expected - 0.01
