"""G5: comparisons of clustered observations keep their size; ones that forget the clusters do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from mangaassist.stats.means import welch
from mangaassist.stats.moments import Moments, PairMoments
from mangaassist.stats.ratios import ratio_difference
from tests.simulation.rates import observed
from tests.support.outcomes import computed

TURNS = 5
RATE = 0.7
SIZES = [pytest.param(1_500, id="small"), pytest.param(20_000, id="full", marks=pytest.mark.full_size)]


def sessions(
    generator: np.random.Generator, count: int, latent_deviation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Successes and turns of each session; a turn succeeds when leaning of the session + noise exceeds 0.

    The noise is standard normal, so over all sessions the rate is exactly RATE.
    """
    centre = ndtri(RATE) * np.sqrt(1 + latent_deviation**2)
    rates = ndtr(centre + latent_deviation * generator.normal(size=count))
    turns = 1 + generator.poisson(TURNS - 1, count)
    return generator.binomial(turns, rates).astype(float), turns.astype(float)


def significant(
    generator: np.random.Generator, replicates: int, *, arm: int, latent_deviation: float
) -> tuple[int, int]:
    """Count how often identical arms differ significantly: clustered by session, and by single turns."""
    clustered = naive = 0
    for _ in range(replicates):
        arms = [sessions(generator, arm, latent_deviation) for _ in range(2)]
        pairs = [PairMoments.of(successes, turns) for successes, turns in arms]
        clustered += computed(ratio_difference(*pairs)).p_value < 0.05
        single = [
            Moments.from_sums(n=int(turns.sum()), total=successes.sum(), total_squares=successes.sum())
            for successes, turns in arms
        ]
        naive += computed(welch(*single)).p_value < 0.05
    return clustered, naive


@pytest.mark.parametrize("replicates", SIZES)
@pytest.mark.parametrize(
    ("arm", "latent_deviation", "naive_size"),
    [(60, 1.0, 0.20), (500, 0.5, 0.11), (500, 1.0, 0.20), (500, 1.5, 0.26)],
)
def test_sessions_of_five_turns_keep_a_size_of_4_to_6_percent(
    arm: int, latent_deviation: float, naive_size: float, replicates: int
) -> None:
    clustered, naive = significant(
        np.random.default_rng(20_261), replicates, arm=arm, latent_deviation=latent_deviation
    )
    label = f"{arm} sessions an arm, latent deviation {latent_deviation}"
    size = observed(f"clustered, {label}", clustered, replicates)
    wrong = observed(f"single turns, {label}", naive, replicates)
    # the claim is 4 to 6 %; the small version adds the width of its own interval
    assert size.low <= 0.06
    assert size.high >= 0.04
    if replicates >= 10_000:
        assert 0.04 <= size.value <= 0.06
    assert wrong.high >= naive_size
    assert wrong.low > 0.07


@pytest.mark.parametrize("replicates", SIZES)
def test_the_interval_of_the_ratio_covers(replicates: int) -> None:
    generator = np.random.default_rng(20_262)
    covered, shift = 0, 0.04
    for _ in range(replicates):
        control, treatment = (sessions(generator, 300, 1.0) for _ in range(2))
        # a true effect: a share of the failures of the second arm becomes successes
        turned = generator.binomial((treatment[1] - treatment[0]).astype(int), shift / (1 - RATE))
        result = computed(
            ratio_difference(PairMoments.of(*control), PairMoments.of(treatment[0] + turned, treatment[1]))
        )
        covered += result.low <= shift <= result.high
    coverage = observed("coverage of a 4-point effect", covered, replicates)
    assert coverage.low <= 0.955
    assert coverage.high >= 0.945
