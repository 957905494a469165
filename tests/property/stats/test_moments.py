"""Sufficient statistics: merging in any grouping gives what all observations together give."""

from __future__ import annotations

import timeit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.stats.moments import BinomialCounts, JointMoments, Moments, PairMoments
from mangaassist.stats.streams import MomentsStream, PairMomentsStream

VALUES = st.lists(st.floats(-1e6, 1e6), max_size=30)
PAIRS = st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), max_size=30)
OFFSET = 1e9


def same(left: Moments, right: Moments, *, scale: float) -> None:
    assert left.n == right.n
    assert left.mean == pytest.approx(right.mean, rel=1e-9, abs=1e-9 * scale)
    assert left.squares == pytest.approx(right.squares, rel=1e-6, abs=1e-9 * scale**2)


def columns(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [y for y, _ in pairs], [x for _, x in pairs]


@given(VALUES, VALUES, VALUES)
def test_merging_moments_in_any_grouping_gives_those_of_all(
    a: list[float], b: list[float], c: list[float]
) -> None:
    parts = [Moments.of(values) for values in (a, b, c)]
    whole = Moments.of([*a, *b, *c])
    same(parts[0].merge(parts[1]).merge(parts[2]), whole, scale=1e6)
    same(parts[0].merge(parts[1].merge(parts[2])), whole, scale=1e6)
    same(parts[2].merge(parts[0]).merge(parts[1]), whole, scale=1e6)


@given(PAIRS, PAIRS)
def test_merging_joint_moments_gives_those_of_all(
    a: list[tuple[float, float]], b: list[tuple[float, float]]
) -> None:
    merged = PairMoments.of(*columns(a)).merge(PairMoments.of(*columns(b)))
    whole = PairMoments.of(*columns([*a, *b]))
    joint = JointMoments.of(np.reshape(a, (-1, 2))).merge(JointMoments.of(np.reshape(b, (-1, 2)))).pair(0, 1)
    for moments in (merged, joint):
        same(moments.y, whole.y, scale=1e4)
        same(moments.x, whole.x, scale=1e4)
        assert moments.products == pytest.approx(whole.products, rel=1e-6, abs=0.1)


@given(PAIRS)
def test_streams_give_the_moments_of_what_they_were_given(pairs: list[tuple[float, float]]) -> None:
    one, both = MomentsStream(), PairMomentsStream()
    for y, x in pairs:
        one.update(y)
        both.update(y, x)
    whole = PairMoments.of(*columns(pairs))
    same(one.moments(), whole.y, scale=1e4)
    same(both.moments().y, whole.y, scale=1e4)
    same(both.moments().x, whole.x, scale=1e4)
    assert both.moments().products == pytest.approx(whole.products, rel=1e-6, abs=0.1)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_a_large_offset_costs_no_precision(values: list[float]) -> None:
    stream = MomentsStream()
    for value in values:
        stream.update(OFFSET + value)
    expected = float(np.var(np.array(values) + OFFSET, ddof=1))
    assert stream.moments().variance == pytest.approx(expected, rel=1e-6, abs=1e-5)


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=2, max_size=20))
def test_raw_sums_give_the_same_moments(pairs: list[tuple[float, float]]) -> None:
    y, x = np.array(pairs).T
    expected = PairMoments.of(y, x)
    from_sums = PairMoments.from_sums(
        n=len(y),
        total_y=y.sum(),
        total_x=x.sum(),
        total_squares_y=y @ y,
        total_squares_x=x @ x,
        total_products=y @ x,
    )
    rows = np.column_stack([y, x])
    joint = JointMoments.from_sums(n=len(y), totals=rows.sum(axis=0), total_products=rows.T @ rows).pair(0, 1)
    for moments in (from_sums, joint):
        same(moments.y, expected.y, scale=50)
        same(moments.x, expected.x, scale=50)
        assert moments.products == pytest.approx(expected.products, rel=1e-6, abs=1e-6)


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=2, max_size=20),
    st.floats(-3, 3),
    st.floats(-3, 3),
)
def test_a_combination_has_the_moments_of_the_combined_values(
    pairs: list[tuple[float, float]], a: float, b: float
) -> None:
    y, x = np.array(pairs).T
    same(PairMoments.of(y, x).combination(a, b), Moments.of(a * y + b * x), scale=300)
    same(JointMoments.of(np.column_stack([y, x])).combination((a, b)), Moments.of(a * y + b * x), scale=300)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_counts_merge_and_agree_with_the_moments_of_their_observations(
    a: int, b: int, c: int, d: int
) -> None:
    first = BinomialCounts(n=a + b, successes=a)
    second = BinomialCounts(n=c + d, successes=c)
    whole = [1.0] * (a + c) + [0.0] * (b + d)
    same(first.merge(second).to_moments(), Moments.of(whole), scale=1)
    assert first.merge(second).failures == b + d


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="0 <= successes <= n"):
        BinomialCounts(n=3, successes=4)


@pytest.mark.parametrize(("stream", "values"), [(MomentsStream(), (0.7,)), (PairMomentsStream(), (0.7, 3.0))])
def test_an_update_takes_at_most_five_microseconds(
    stream: MomentsStream | PairMomentsStream, values: tuple[float, ...]
) -> None:
    # the fastest of many short runs: what the update costs when nothing else wants the processor
    rounds = timeit.repeat(lambda: stream.update(*values), number=2_000, repeat=25)
    assert min(rounds) / 2_000 < 5e-6
