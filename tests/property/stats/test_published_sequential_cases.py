"""The shared numeric cases of sequences, sample ratio, drift and e-process, read from where they are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mangaassist.stats.arm_of_outcome import anytime_p, log_e_share
from mangaassist.stats.categorical_drift import DriftThresholds, categorical_drift
from mangaassist.stats.confidence_sequence import ArmValue, Phase, difference_sequence
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.sample_ratio import ArmCounts, sample_ratio_p
from tests.support.outcomes import computed

SHARED_CASES = Path(__file__).parents[4] / "shared" / "data" / "statistics" / "cases.json"


@pytest.mark.shared_data
def test_the_shared_cases_are_reproduced() -> None:
    if not SHARED_CASES.exists():
        pytest.skip("the shared data folder is not beside the checkout")
    cases = {case["id"]: case for case in json.loads(SHARED_CASES.read_text(encoding="utf-8"))["cases"]}

    given, expected = cases["seq"]["input"], cases["seq"]["expected"]
    arms = {
        name: ArmValue.of_share(BinomialCounts(n=given[name]["n"], successes=given[name]["sum"]))
        for name in ("control", "treatment")
    }
    found = computed(
        difference_sequence(
            [Phase(share=0.05, treatment=arms["treatment"], control=arms["control"])],
            alpha=given["alpha"],
            planned_count=given["tuning_n"],
        )
    )
    assert [found.effect, found.low, found.high, found.p_value] == pytest.approx(
        [expected["effect"], *expected["ci"], expected["p_value"]], abs=cases["seq"]["tolerance"]
    )

    given, expected = cases["srm"]["input"], cases["srm"]["expected"]
    counts = ArmCounts(counts=tuple(given["counts"]), weights=tuple(given["expected_weights"]))
    assert computed(sample_ratio_p(counts)) == pytest.approx(
        expected["p_value"], abs=cases["srm"]["tolerance"]
    )

    given, expected = cases["drift"]["input"], cases["drift"]["expected"]
    mixes = [
        {str(at): int(count) for at, count in enumerate(given[name])}
        for name in ("baseline_counts", "current_counts")
    ]
    drift = computed(categorical_drift(mixes[0], mixes[1], thresholds=DriftThresholds(min_count=1)))
    assert [
        drift.psi,
        drift.distance**2,
        drift.distance,
        drift.statistic,
        drift.p_value,
        drift.psi_chance,
    ] == pytest.approx(list(expected.values()), abs=cases["drift"]["tolerance"])

    given, expected = cases["eproc"]["input"], cases["eproc"]["expected"]
    log_e = float(
        log_e_share(
            given["failures_canary"],
            given["failures_control"],
            share=given["canary_share"],
            strength=given["k"],
        )
    )
    assert [log_e, anytime_p(log_e)] == pytest.approx(
        list(expected.values()), abs=cases["eproc"]["tolerance"]
    )
