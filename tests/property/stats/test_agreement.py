"""Krippendorff's alpha: published values, invariances, and intervals that cover."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mangaassist.stats.agreement import Level, krippendorff_alpha
from mangaassist.stats.outcome import Reason
from tests.support.outcomes import computed, refused

N = None
# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C-E: four observers, 12 units
PUBLISHED: list[list[float | None]] = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
LEVELS: list[Level] = ["nominal", "ordinal", "interval"]
RATINGS = st.lists(
    st.lists(st.sampled_from([1.0, 2.0, 3.0, None]), min_size=8, max_size=8), min_size=2, max_size=4
)


def alpha(ratings: list[list[float | None]], level: Level) -> float | None:
    outcome = krippendorff_alpha(ratings, level=level, random=Random(1), resamples=20)
    return getattr(outcome, "value", None)


@pytest.mark.parametrize(("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_values_are_reproduced(level: Level, expected: float) -> None:
    assert computed(krippendorff_alpha(PUBLISHED, level=level, random=Random(1))).value == pytest.approx(
        expected, abs=5e-4
    )


@settings(max_examples=25)
@given(RATINGS, st.randoms(use_true_random=False), st.sampled_from(LEVELS))
def test_the_order_of_raters_and_items_does_not_matter(
    ratings: list[list[float | None]], random: Random, level: Level
) -> None:
    order = list(range(8))
    random.shuffle(order)
    shuffled = [[row[at] for at in order] for row in ratings]
    random.shuffle(shuffled)
    before, after = alpha(ratings, level), alpha(shuffled, level)
    # with nearly equal ratings it is a matter of chance whether there are enough resamples
    assume(before is not None and after is not None)
    assert after == pytest.approx(before)


@settings(max_examples=25)
@given(RATINGS)
def test_each_level_ignores_what_it_does_not_measure(ratings: list[list[float | None]]) -> None:
    def mapped(change: dict[float, float]) -> list[list[float | None]]:
        return [[None if value is None else change[value] for value in row] for row in ratings]

    assert alpha(mapped({1.0: 7.0, 2.0: -1.0, 3.0: 2.0}), "nominal") == pytest.approx(
        alpha(ratings, "nominal")
    )
    assert alpha(mapped({1.0: 0.0, 2.0: 1.0, 3.0: 50.0}), "ordinal") == pytest.approx(
        alpha(ratings, "ordinal")
    )
    assert alpha(mapped({1.0: 5.0, 2.0: 8.0, 3.0: 11.0}), "interval") == pytest.approx(
        alpha(ratings, "interval")
    )


@settings(max_examples=25)
@given(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=5, max_size=30), st.sampled_from(LEVELS))
def test_raters_who_always_agree_have_an_alpha_of_one(items: list[float], level: Level) -> None:
    outcome = krippendorff_alpha([list(items), list(items)], level=level, random=Random(1))
    if len(set(items)) == 1:
        assert refused(outcome).reason is Reason.NO_VARIATION
    elif not hasattr(outcome, "reason"):
        assert computed(outcome).value == 1.0


@pytest.mark.parametrize("level", LEVELS)
def test_raters_who_guess_have_an_alpha_around_zero(level: Level) -> None:
    ratings = np.random.default_rng(3).integers(1, 6, (2, 2_000)).astype(float).tolist()
    interval = computed(krippendorff_alpha(ratings, level=level, random=Random(1)))
    # within three standard errors
    assert abs(interval.value) < 1.5 * (interval.high - interval.low) / 1.96
    assert interval.high - interval.low < 0.12


def noisy_raters(generator: np.random.Generator, items: int) -> list[list[float | None]]:
    truth = generator.integers(1, 6, items)
    return [
        np.where(generator.random(items) < 0.7, truth, generator.integers(1, 6, items)).astype(float).tolist()
        for _ in range(2)
    ]


def test_the_interval_covers_the_alpha_of_the_population() -> None:
    generator = np.random.default_rng(4)
    truth = computed(
        krippendorff_alpha(noisy_raters(generator, 200_000), level="nominal", random=Random(1), resamples=2)
    ).value
    covered = 0
    for seed in range(200):
        interval = computed(
            krippendorff_alpha(
                noisy_raters(generator, 80), level="nominal", random=Random(seed), resamples=400
            )
        )
        covered += interval.low <= truth <= interval.high
    assert covered / 200 == pytest.approx(0.95, abs=0.05)


def test_a_seed_repeats_and_lonely_ratings_do_not_count() -> None:
    first = krippendorff_alpha(PUBLISHED, level="ordinal", random=Random(9))
    assert krippendorff_alpha(PUBLISHED, level="ordinal", random=Random(9)) == first
    with_lonely = [[*row, 5.0 if at == 0 else None] for at, row in enumerate(PUBLISHED)]
    assert alpha(with_lonely, "nominal") == pytest.approx(alpha(PUBLISHED, "nominal"))


def test_ratings_without_overlap_or_variation_are_refused() -> None:
    assert refused(krippendorff_alpha([[1, N], [N, 2]], level="nominal", random=Random(1))).more_needed == 2
    nearly = [[1.0] * 60, [1.0] * 59 + [2.0]]
    outcome = refused(krippendorff_alpha(nearly, level="nominal", random=Random(1)))
    assert "too few items differ" in outcome.detail
