"""G7: weekly drift checks alarm seldom without a drift, and soon with one."""

from __future__ import annotations

import numpy as np
import pytest

from mangaassist.control.simulation.drift import SOURCE_MIX, DriftTraffic, drifted_mix, study_drift
from mangaassist.stats.categorical_drift import DriftThresholds
from mangaassist.stats.embedding_drift import classify_domains, kernel_distance
from mangaassist.stats.outcome import CannotCompute
from tests.simulation.rates import observed

SIZES = [pytest.param(500, id="small"), pytest.param(5_000, id="full", marks=pytest.mark.full_size)]
EMBEDDING_SIZES = [pytest.param(3, id="small"), pytest.param(200, id="full", marks=pytest.mark.full_size)]
TOPICS, DIMENSIONS = 10, 384


@pytest.mark.parametrize("replicates", SIZES)
@pytest.mark.parametrize("requests", [200, 1_000, 10_000, 1_000_000])
def test_an_unchanged_mix_alarms_in_at_most_one_week_of_100(requests: int, replicates: int) -> None:
    traffic = DriftTraffic(mix=SOURCE_MIX, drifted=SOURCE_MIX, requests_per_week=requests)
    own, *_ = study_drift(
        DriftThresholds(), traffic=traffic, replicates=replicates, generator=np.random.default_rng(20_269)
    )
    weeks = own.false_alarms.count
    rate = observed(f"{requests} a week, weeks with an alarm", round(own.false_alarms.value * weeks), weeks)
    assert rate.low <= 0.01
    if replicates >= 5_000:
        assert rate.value <= 0.01


@pytest.mark.parametrize("replicates", SIZES)
def test_a_category_that_grows_from_5_to_9_percent_is_found_in_1000_requests(replicates: int) -> None:
    traffic = DriftTraffic(
        mix=SOURCE_MIX, drifted=drifted_mix(SOURCE_MIX, {"escalation": 0.04}), requests_per_week=1_000
    )
    own, source, *_ = study_drift(
        DriftThresholds(), traffic=traffic, replicates=replicates, generator=np.random.default_rng(20_270)
    )
    found = observed("5 to 9 % in 1,000", round(own.detections.value * replicates), replicates)
    observed("the same by the 5-point rule", round(source.detections.value * replicates), replicates)
    assert found.high >= 0.95
    assert found.value > source.detections.value + 0.5


def vectors(
    generator: np.random.Generator, centres: np.ndarray, count: int, *, new_share: float
) -> np.ndarray:
    """Unit vectors around the topics; the last topic is the new one."""
    weights = np.append(np.full(TOPICS, (1.0 - new_share) / TOPICS), new_share)
    chosen = centres[generator.choice(TOPICS + 1, count, p=weights)]
    rows = chosen + 1.5 * generator.standard_normal((count, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def topic_centres(generator: np.random.Generator) -> np.ndarray:
    centres = generator.standard_normal((TOPICS + 1, DIMENSIONS))
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True))


@pytest.mark.parametrize("replicates", EMBEDDING_SIZES)
def test_a_new_topic_of_10_percent_is_found_in_2000_vectors(replicates: int) -> None:
    generator = np.random.default_rng(20_271)
    found = kernel = false = false_kernel = 0
    for _ in range(replicates):
        centres = topic_centres(generator)
        before, same, now = (vectors(generator, centres, 2_000, new_share=share) for share in (0.0, 0.0, 0.1))
        found += classified(before, now, generator)
        false += classified(before, same, generator)
        kernel += distant(before, now, generator)
        false_kernel += distant(before, same, generator)
    assert observed("new topic, classifier", found, replicates).high >= 0.9
    assert observed("unchanged, classifier", false, replicates).low <= 0.001
    observed("new topic, kernel distance", kernel, replicates)
    assert observed("unchanged, kernel distance", false_kernel, replicates).low <= 0.01


def classified(before: np.ndarray, now: np.ndarray, generator: np.random.Generator) -> bool:
    result = classify_domains(before, now, generator=generator)
    assert not isinstance(result, CannotCompute)
    return result.alarms()


def distant(before: np.ndarray, now: np.ndarray, generator: np.random.Generator) -> bool:
    result = kernel_distance(before, now, generator=generator, permutations=199)
    assert not isinstance(result, CannotCompute)
    return result.p_value < 0.01
