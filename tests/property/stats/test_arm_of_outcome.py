"""The arm-of-outcome e-process: an e-value by enumeration, monotone, and equal to its integral."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from mangaassist.stats.arm_of_outcome import (
    BinaryStage,
    anytime_p,
    log_e_harm,
    log_e_share,
    log_e_share_bound,
    log_upper_tail,
)
from mangaassist.stats.moments import BinomialCounts

COUNTS = st.integers(0, 400)
SHARES = st.floats(0.01, 0.6)
STRENGTHS = st.sampled_from([20.0, 100.0, 500.0, 2_000.0])


def stage(share: float, canary: tuple[int, int], control: tuple[int, int]) -> BinaryStage:
    arms = [BinomialCounts(n=good + bad, successes=good) for good, bad in (canary, control)]
    return BinaryStage(share=share, treatment=arms[0], control=arms[1])


def test_the_published_case() -> None:
    log_e = float(log_e_share(30, 300, share=0.05, strength=100.0))
    assert log_e == pytest.approx(3.6166790893376763, abs=1e-9)
    assert anytime_p(log_e) == pytest.approx(0.026871767217860113, abs=1e-9)


@given(events=st.integers(0, 60), share=SHARES, strength=STRENGTHS)
def test_its_mean_is_one_at_the_border_of_the_null_and_less_inside(
    events: int, share: float, strength: float
) -> None:
    inside = np.arange(events + 1)
    values = np.exp(log_e_share(inside, events - inside, share=share, strength=strength))
    assert float(values @ stats.binom.pmf(inside, events, share)) == pytest.approx(1.0, abs=1e-6)
    assert float(values @ stats.binom.pmf(inside, events, 0.8 * share)) <= 1.0 + 1e-6


@settings(max_examples=25)
@given(inside=st.integers(0, 40), outside=st.integers(0, 400), share=st.floats(0.03, 0.5))
def test_it_is_the_mean_likelihood_ratio_over_the_cut_prior(inside: int, outside: int, share: float) -> None:
    strength = 100.0
    prior = stats.beta(strength * share, strength * (1.0 - share))

    def integrand(chance: float) -> float:
        ratio = inside * math.log(chance / share) + outside * math.log((1.0 - chance) / (1.0 - share))
        return float(prior.pdf(chance)) * math.exp(ratio)

    far = share + 20.0 * float(prior.std())
    ends = [share, *([far] if far < 1.0 else []), 1.0 - 1e-12]
    mean = sum(
        integrate.quad(integrand, low, high, limit=200, epsabs=0.0, epsrel=1e-8)[0]
        for low, high in pairwise(ends)
    )
    expected = math.log(mean / float(prior.sf(share)))
    assert float(log_e_share(inside, outside, share=share, strength=strength)) == pytest.approx(
        expected, abs=1e-4
    )


@given(inside=COUNTS, outside=COUNTS, share=SHARES, strength=STRENGTHS)
def test_an_event_inside_speaks_against_the_null_and_one_outside_for_it(
    inside: int, outside: int, share: float, strength: float
) -> None:
    here = float(log_e_share(inside, outside, share=share, strength=strength))
    assert float(log_e_share(inside + 1, outside, share=share, strength=strength)) >= here - 1e-9
    assert float(log_e_share(inside, outside + 1, share=share, strength=strength)) <= here + 1e-9


@given(inside=COUNTS, outside=COUNTS, share=SHARES, strength=STRENGTHS)
def test_the_bound_is_never_exceeded(inside: int, outside: int, share: float, strength: float) -> None:
    bound = log_e_share_bound(np.array([float(inside)]), np.array([float(outside)]), share=np.array([share]))
    assert float(log_e_share(inside, outside, share=share, strength=strength)) <= float(bound[0]) + 1e-8


@given(a=st.floats(1.0, 3_000.0), b=st.floats(1.0, 3_000.0), x=st.floats(0.02, 0.98))
def test_the_tail_agrees_with_the_complement_of_the_incomplete_beta_function(
    a: float, b: float, x: float
) -> None:
    tail = float(special.betaincc(a, b, x))
    if tail > 1e-280:
        assert float(log_upper_tail(a, b, x)) == pytest.approx(math.log(tail), abs=1e-9)


@given(a=st.floats(500.0, 20_000.0), ratio=st.floats(1.2, 4.0), x=st.floats(0.1, 0.9))
def test_the_deep_tail_is_finite_and_agrees_with_its_integral(a: float, ratio: float, x: float) -> None:
    b = a * (1.0 - x) / x * ratio  # the mean lies below x
    peak = (a - 1.0) * math.log(x) + (b - 1.0) * math.log1p(-x)

    def integrand(step: float) -> float:
        at = min(x + step, 1.0 - 1e-15)
        return math.exp((a - 1.0) * math.log(at) + (b - 1.0) * math.log1p(-at) - peak)

    slope = (b - 1.0) / (1.0 - x) - (a - 1.0) / x
    area, _ = integrate.quad(integrand, 0.0, min(1.0 - x, 40.0 / slope), limit=200)
    expected = peak + math.log(area) - float(special.betaln(a, b))
    assert float(log_upper_tail(a, b, x)) == pytest.approx(expected, rel=1e-6, abs=1e-5)


@given(
    first=st.tuples(SHARES, st.tuples(COUNTS, COUNTS), st.tuples(COUNTS, COUNTS)),
    second=st.tuples(SHARES, st.tuples(COUNTS, COUNTS), st.tuples(COUNTS, COUNTS)),
)
def test_stages_multiply_whatever_their_order(
    first: tuple[float, tuple[int, int], tuple[int, int]],
    second: tuple[float, tuple[int, int], tuple[int, int]],
) -> None:
    one, other = stage(*first), stage(*second)
    together = log_e_harm([one, other], failure_strength=500.0, success_strength=2_000.0)
    parts = [log_e_harm([part], failure_strength=500.0, success_strength=2_000.0) for part in (one, other)]
    assert together == pytest.approx(sum(parts), abs=1e-9)
    assert together == pytest.approx(
        log_e_harm([other, one], failure_strength=500.0, success_strength=2_000.0), abs=1e-9
    )


def test_no_data_says_nothing() -> None:
    assert log_e_harm([], failure_strength=500.0, success_strength=None) == 0.0
    empty = stage(0.05, (0, 0), (0, 0))
    assert log_e_harm([empty], failure_strength=500.0, success_strength=2_000.0) == pytest.approx(0.0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        stage(share, (1, 1), (1, 1))
