"""Paired binary outcomes: McNemar as in statsmodels, Tango's score by likelihood, duality and symmetry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_oracle

from mangaassist.stats.exact_pairs import exact_paired_bound, exact_paired_p
from mangaassist.stats.mcnemar import (
    PairedCounts,
    mcnemar_exact,
    mcnemar_score,
    paired_score,
    paired_wald,
    tango_statistic,
)
from tests.support.outcomes import computed, refused

PAIRS = st.tuples(st.integers(0, 300), st.integers(0, 40), st.integers(0, 40)).map(
    lambda parts: PairedCounts(n=sum(parts) + 1, gained=parts[1], lost=parts[2])
)
NULLS = st.floats(-0.5, 0.5)


@given(PAIRS)
def test_p_values_are_those_of_statsmodels(pairs: PairedCounts) -> None:
    assume(pairs.discordant > 0)
    table = [[pairs.n - pairs.discordant, pairs.lost], [pairs.gained, 0]]
    assert computed(mcnemar_exact(pairs)) == pytest.approx(mcnemar_oracle(table, exact=True).pvalue)
    expected = mcnemar_oracle(table, exact=False, correction=False).pvalue
    assert computed(mcnemar_score(pairs)) == pytest.approx(expected)
    assert computed(paired_score(pairs)).p_value == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(PAIRS)
def test_mid_p_lies_below_the_exact_p_and_tails_complement_each_other(pairs: PairedCounts) -> None:
    assume(pairs.discordant > 0)
    assert computed(mcnemar_exact(pairs, mid_p=True)) <= computed(mcnemar_exact(pairs)) + 1e-12
    up = computed(mcnemar_exact(pairs, alternative="greater", mid_p=True))
    down = computed(mcnemar_exact(pairs, alternative="less", mid_p=True))
    assert up + down == pytest.approx(1.0)


def variance_of_the_likeliest(pairs: PairedCounts, null: float) -> float:
    """The variance by brute search for the likeliest chance to lose."""
    lost = np.linspace(max(0.0, -null), (1 - null) / 2, 20_001)[1:-1]
    likelihood = (
        pairs.gained * np.log(lost + null)
        + pairs.lost * np.log(lost)
        + (pairs.n - pairs.discordant) * np.log(1 - 2 * lost - null)
    )
    rate = float(lost[int(np.argmax(likelihood))])
    return (2 * rate + null - null**2) / pairs.n


@given(PAIRS, NULLS)
def test_tangos_variance_is_that_of_the_likeliest_rates(pairs: PairedCounts, null: float) -> None:
    gap = pairs.difference - null
    assume(abs(gap) > 1e-3)
    statistic = tango_statistic(pairs, null)
    assume(math.isfinite(statistic))
    expected = variance_of_the_likeliest(pairs, null)
    assert (gap / statistic) ** 2 == pytest.approx(expected, rel=0.01, abs=2e-4 / pairs.n)


@given(PAIRS, NULLS)
def test_the_interval_holds_what_the_test_does_not_reject(pairs: PairedCounts, null: float) -> None:
    result = computed(paired_score(pairs, null=null))
    assume(min(abs(null - result.low), abs(null - result.high)) > 1e-6)
    assert (result.low <= null <= result.high) == (result.p_value > 0.05)


@given(PAIRS)
def test_exchanging_the_systems_mirrors_the_result(pairs: PairedCounts) -> None:
    forward, backward = computed(paired_score(pairs)), computed(paired_score(pairs.swapped()))
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low), abs=1e-7)


@given(PAIRS)
def test_with_many_discordant_pairs_wald_and_score_agree(pairs: PairedCounts) -> None:
    grown = PairedCounts(n=pairs.n * 400, gained=pairs.gained * 400, lost=pairs.lost * 400)
    assume(grown.discordant > 1_000)
    score, wald = computed(paired_score(grown)), computed(paired_wald(grown))
    assert (score.low, score.high) == pytest.approx((wald.low, wald.high), abs=0.1 * (wald.high - wald.low))


@given(st.integers(1, 500))
def test_without_discordant_pairs_the_score_interval_is_closed_form(n: int) -> None:
    # the statistic is d sqrt(n / (d (1 - d))), which is z where d = z² / (n + z²)
    result = computed(paired_score(PairedCounts(n=n, gained=0, lost=0)))
    edge = 1.959963984540054**2 / (n + 1.959963984540054**2)
    assert (result.low, result.high) == pytest.approx((-edge, edge), abs=1e-6)


@given(st.integers(1, 50))
def test_losing_every_case_leaves_no_lower_bound_but_an_upper_one(n: int) -> None:
    result = computed(paired_score(PairedCounts(n=n, gained=0, lost=n)))
    assert (result.effect, result.low) == (-1.0, -1.0)
    assert -1.0 < result.high < 1.0


def test_agreement_on_all_pairs_has_no_mcnemar_test() -> None:
    same = PairedCounts(n=40, gained=0, lost=0)
    for outcome in (mcnemar_exact(same), mcnemar_score(same), paired_wald(same)):
        assert "agree on all 40" in refused(outcome).detail
    refused(paired_wald(PairedCounts(n=3, gained=3, lost=0)))
    refused(paired_score(PairedCounts(n=0, gained=0, lost=0)))
    refused(mcnemar_exact(PairedCounts(n=0, gained=0, lost=0)))
    with pytest.raises(ValueError, match="within n"):
        PairedCounts(n=3, gained=2, lost=2)


FEW = st.tuples(st.integers(1, 400), st.integers(0, 8), st.integers(0, 8)).map(
    lambda parts: PairedCounts(n=sum(parts), gained=parts[1], lost=parts[2])
)


@settings(max_examples=40)
@given(FEW, st.floats(0.01, 0.2))
def test_the_exact_bound_is_the_margin_at_which_the_exact_test_turns(
    pairs: PairedCounts, null: float
) -> None:
    bound = computed(exact_paired_bound(pairs))
    assume(abs(bound + null) > 5e-3)
    if -null < bound:
        assert computed(exact_paired_p(pairs, -null)) <= 0.05 + 1e-3
    elif -null < pairs.difference:
        assert computed(exact_paired_p(pairs, -null)) >= 0.05 - 1e-3


@settings(max_examples=30)
@given(FEW)
def test_the_exact_bound_falls_with_losses(pairs: PairedCounts) -> None:
    worse = PairedCounts(n=pairs.n + 1, gained=pairs.gained, lost=pairs.lost + 1)
    assert computed(exact_paired_bound(worse)) <= computed(exact_paired_bound(pairs)) + 1e-3


@pytest.mark.parametrize(("n", "margin"), [(25, 0.1), (40, 0.05)])
def test_the_exact_test_keeps_its_size_by_enumeration(n: int, margin: float) -> None:
    passing = [
        (gained, lost)
        for gained in range(n + 1)
        for lost in range(n + 1 - gained)
        if computed(exact_paired_p(PairedCounts(n=n, gained=gained, lost=lost), -margin)) <= 0.05
    ]
    gains, losses = np.array(passing).T
    sizes = []
    for discordance in np.linspace(margin, 1.0, 25):
        gain, lose = (discordance - margin) / 2, (discordance + margin) / 2
        chances = np.exp(
            log_trinomial(n, gains, losses)
            + gains * math.log(max(gain, 1e-300))
            + losses * math.log(lose)
            + (n - gains - losses) * math.log(max(1 - discordance, 1e-300))
        )
        sizes.append(float(chances.sum()))
    print(f"n = {n}, margin {margin}: largest size {max(sizes):.4f}")
    assert max(sizes) <= 0.05


def log_trinomial(n: int, gains: np.ndarray, losses: np.ndarray) -> np.ndarray:
    return np.asarray(
        gammaln(n + 1) - gammaln(gains + 1) - gammaln(losses + 1) - gammaln(n - gains - losses + 1)
    )


def test_the_exact_test_needs_pairs() -> None:
    nothing = PairedCounts(n=0, gained=0, lost=0)
    refused(exact_paired_p(nothing, -0.02))
    refused(exact_paired_bound(nothing))
