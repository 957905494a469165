"""The gate on paired cases: tri-state, monotone in the margin, never a pass without data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangaassist.stats.gate import GatePolicy, GateVerdict, decide, plan
from mangaassist.stats.mcnemar import mcnemar_exact
from mangaassist.stats.noninferiority import margin_evidence, regression_p
from mangaassist.stats.paired import PairedSummary, paired_difference
from tests.support.outcomes import computed, refused

POLICY = GatePolicy()


def binary(n: int, gained: int, lost: int, cluster_size: int = 1) -> PairedSummary:
    """Cases in clusters; changed cases come first, each in a cluster of its own where there is room."""
    differences = np.zeros(n)
    differences[:gained] = 1.0
    differences[gained : gained + lost] = -1.0
    clusters = None if cluster_size == 1 else np.arange(n) % (n // cluster_size)
    return PairedSummary.of(differences, clusters)


CASES = st.tuples(st.integers(0, 600), st.integers(0, 60), st.integers(0, 60))


def summary(parts: tuple[int, int, int]) -> PairedSummary:
    same, gained, lost = parts
    return binary(same + gained + lost + 2, gained, lost)


@settings(max_examples=40)
@given(CASES, st.floats(0.005, 0.1))
def test_a_wider_margin_is_never_harder(parts: tuple[int, int, int], margin: float) -> None:
    order = [GateVerdict.FAIL, GateVerdict.NEED_MORE_DATA, GateVerdict.PASS]
    narrow, wide = (
        decide(summary(parts), {}, policy=GatePolicy(margin=size)) for size in (margin, margin * 2)
    )
    if narrow.verdict is GateVerdict.PASS:
        assert wide.verdict is GateVerdict.PASS
    assert wide.overall.evidence is not None
    assert order.index(wide.verdict) >= order.index(narrow.verdict) or narrow.verdict is not GateVerdict.PASS


@settings(max_examples=40)
@given(CASES)
def test_a_pass_has_its_bound_above_the_margin_and_more_data_has_a_number(
    parts: tuple[int, int, int],
) -> None:
    result = decide(summary(parts), {}, policy=POLICY)
    evidence = computed(result.overall.evidence)
    if result.verdict is GateVerdict.PASS:
        assert evidence.low > -POLICY.margin
    if result.verdict is GateVerdict.NEED_MORE_DATA:
        assert result.overall.units_needed is not None
        assert result.overall.units_needed > summary(parts).units.n


@settings(max_examples=40)
@given(st.integers(0, 600), st.integers(0, 25), st.integers(0, 25))
def test_turning_a_gain_into_a_tie_never_helps(same: int, gained: int, lost: int) -> None:
    better = margin_evidence(binary(same + gained + lost + 3, gained + 1, lost), 0.02)
    tied = margin_evidence(binary(same + gained + lost + 3, gained, lost), 0.02)
    assert computed(tied).low <= computed(better).low + 1e-3


@pytest.mark.parametrize("cluster_size", [1, 3])
def test_agreement_on_every_case_passes_only_with_enough_cases(cluster_size: int) -> None:
    few, many = binary(60, 0, 0, cluster_size), binary(600, 0, 0, cluster_size)
    undecided = decide(few, {}, policy=POLICY)
    assert undecided.verdict is GateVerdict.NEED_MORE_DATA
    assert decide(many, {}, policy=POLICY).verdict is GateVerdict.PASS
    # not below the rule of three, 3 / 0.02 = 150
    assert undecided.overall.units_needed is not None
    assert 145 <= undecided.overall.units_needed <= 600


def test_no_cases_are_never_a_pass() -> None:
    for cases in (PairedSummary.of([]), PairedSummary.of([1.0])):
        result = decide(cases, {}, policy=POLICY)
        assert result.verdict is GateVerdict.NEED_MORE_DATA
        refused(result.overall.evidence)


def test_a_system_far_worse_fails() -> None:
    assert decide(binary(500, 10, 60), {}, policy=POLICY).verdict is GateVerdict.FAIL
    assert decide(binary(40, 0, 20), {}, policy=POLICY).verdict is GateVerdict.FAIL


def test_a_large_sample_that_shows_nothing_fails() -> None:
    # 1.6 points worse in 12,000 cases: more than the planned size for half the margin
    result = decide(binary(12_000, 530, 722), {}, policy=POLICY)
    assert result.verdict is GateVerdict.FAIL
    assert "although the sample suffices" in result.overall.detail


def test_a_regression_in_one_stratum_fails_the_gate() -> None:
    strata = {"a": binary(900, 20, 20), "b": binary(300, 2, 22), "c": binary(20, 0, 1)}
    result = decide(binary(1_220, 42, 43), strata, policy=POLICY)
    assert result.verdict is GateVerdict.FAIL
    assert result.strata["b"].verdict is GateVerdict.FAIL
    assert "significantly worse" in result.strata["b"].detail


def test_a_small_stratum_is_reported_but_does_not_hold_up_the_gate() -> None:
    strata = {"large": binary(2_000, 40, 40), "small": binary(20, 0, 1)}
    result = decide(binary(2_020, 40, 41), strata, policy=POLICY)
    assert result.verdict is GateVerdict.PASS
    small = result.strata["small"]
    assert (small.verdict, small.judged) == (GateVerdict.NEED_MORE_DATA, False)
    assert small.units_needed is not None
    assert small.units_needed >= POLICY.least_cases


def test_a_judged_stratum_without_an_answer_holds_up_the_gate() -> None:
    strata = {"a": binary(2_000, 40, 40), "b": binary(80, 4, 4)}
    assert decide(binary(2_080, 44, 44), strata, policy=POLICY).verdict is GateVerdict.NEED_MORE_DATA


@given(st.integers(40, 200), st.integers(0, 10_000))
def test_clusters_of_copies_give_the_bound_of_the_single_cases(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    differences = generator.normal(size=n)
    once = computed(margin_evidence(PairedSummary.of(differences), 0.1))
    copied = PairedSummary.of(np.repeat(differences, 4), np.repeat(np.arange(n), 4))
    assert computed(margin_evidence(copied, 0.1)).low == pytest.approx(once.low, abs=1e-9)
    assert copied.cases == 4 * n


@given(st.integers(0, 10_000))
def test_scores_use_the_paired_t_interval(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.01, 0.1, 80)
    evidence = computed(margin_evidence(PairedSummary.of(differences), 0.05))
    test = computed(paired_difference(PairedSummary.of(differences), confidence=0.95, alternative="greater"))
    assert evidence.method == "clustered"
    assert evidence.low == pytest.approx(test.low)
    assert evidence.shown_worse is False


def test_scores_that_are_all_lower_by_the_same_are_known_exactly() -> None:
    same_loss = PairedSummary.of(np.full(50, -0.5))
    assert computed(margin_evidence(same_loss, 0.02)).low == pytest.approx(-0.5)
    assert regression_p(same_loss) == pytest.approx(0.5**50)


@settings(max_examples=30)
@given(st.integers(0, 30), st.integers(0, 30))
def test_regressions_of_binary_cases_are_tested_by_mcnemar(gained: int, lost: int) -> None:
    p_value = regression_p(binary(100, gained, lost))
    if gained + lost:
        pairs = binary(100, gained, lost).counts
        assert pairs is not None
        assert p_value == pytest.approx(computed(mcnemar_exact(pairs, alternative="less")))
    else:
        assert p_value == 1.0


def test_few_changed_clusters_are_bounded_by_their_worst_case() -> None:
    evidence = computed(margin_evidence(binary(600, 3, 2, cluster_size=3), 0.02))
    assert evidence.method == "bounded"
    # the exact upper bound of 2 losing conversations in 200 is 3.12 %
    assert evidence.low == pytest.approx(-0.0312, abs=5e-4)
    much_worse = computed(margin_evidence(binary(60, 0, 25, cluster_size=3), 0.02))
    assert not much_worse.shown_worse


@given(st.floats(0.02, 0.4), st.integers(0, 9))
def test_the_plan_grows_with_strata_and_discordance(discordance: float, count: int) -> None:
    strata = {str(at): (1 / count, discordance) for at in range(count)}
    size = computed(plan(discordance, strata, policy=POLICY))
    assert size >= computed(plan(discordance, {}, policy=POLICY))
    assert computed(plan(discordance * 2, strata, policy=POLICY)) >= size
    if count:
        assert size * (1 / count) >= POLICY.least_cases - 1e-9


def test_regressions_of_conversations_are_tested_with_their_clusters() -> None:
    generator = np.random.default_rng(8)
    clusters = np.repeat(np.arange(80), 4)
    worse = generator.normal(-0.2, 0.3, 80)[clusters] + generator.normal(0, 0.1, 320)
    pairs = PairedSummary.of(worse, clusters)
    assert regression_p(pairs) == computed(paired_difference(pairs, alternative="less")).p_value
    refused(paired_difference(PairedSummary.of([0.5])))


def test_impossible_plans_and_margins_are_refused() -> None:
    refused(plan(0.1, {}, policy=GatePolicy(margin=0.0)))
    refused(plan(0.1, {"a": (1.0, 0.1)}, policy=GatePolicy(stratum_margin=0.0)))
    with pytest.raises(ValueError, match="regression_alpha"):
        plan(0.1, {"a": (1.0, 0.1)}, policy=POLICY, pass_rate=0.96)
    with pytest.raises(ValueError, match="margin"):
        margin_evidence(binary(100, 1, 1), 0.0)
