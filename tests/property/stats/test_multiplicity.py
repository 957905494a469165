"""Adjusted p-values: those of statsmodels, whatever the order of the tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from mangaassist.stats.multiplicity import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(P_VALUES)
def test_adjustments_are_those_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1])


@given(P_VALUES, st.randoms(use_true_random=False))
def test_the_order_of_the_tests_does_not_matter(p_values: list[float], random: object) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis types its Random as object
    for method in (holm, benjamini_hochberg):
        adjusted = method(p_values)
        assert method([p_values[at] for at in order]) == pytest.approx([adjusted[at] for at in order])


@given(P_VALUES)
def test_holm_is_the_stricter_one_and_neither_makes_a_test_more_significant(p_values: list[float]) -> None:
    for plain, strict, lenient in zip(p_values, holm(p_values), benjamini_hochberg(p_values), strict=True):
        assert plain <= lenient + 1e-12 <= strict + 2e-12 <= 1.0 + 3e-12


def test_no_tests_have_no_p_values_and_impossible_ones_are_refused() -> None:
    assert holm([]) == ()
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg([0.5, 1.5])
