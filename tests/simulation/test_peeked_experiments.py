"""G4: experiments looked at every day for four weeks, three metrics."""

from __future__ import annotations

import numpy as np
import pytest

from mangaassist.control.experiments.decision import Decision
from mangaassist.control.experiments.effects import AnalysisPolicy
from mangaassist.control.simulation.experiment import (
    DEFAULT_METRICS,
    ExperimentTraffic,
    analysed,
    simulated_decisions,
    study_experiment,
)
from tests.simulation.rates import observed

SIZES = [pytest.param(300, id="small"), pytest.param(4_000, id="full", marks=pytest.mark.full_size)]


@pytest.mark.parametrize("replicates", SIZES)
def test_four_weeks_of_daily_looks_err_in_at_most_5_of_100_experiments(replicates: int) -> None:
    reports = study_experiment(
        AnalysisPolicy(),
        DEFAULT_METRICS,
        traffic=ExperimentTraffic(units_per_day=1_000, days=28),
        replicates=replicates,
        generator=np.random.default_rng(20_267),
    )
    own, *sources = reports
    false = round((own.notes["false_decision_rate"] or 0.0) * replicates)
    assert observed("A/A, any decision in 28 days", false, replicates).value <= 0.05
    for report in sources:
        wrong = round((report.notes["false_decision_rate"] or 0.0) * replicates)
        assert observed(report.rule, wrong, replicates).low > 0.05


@pytest.mark.parametrize("replicates", SIZES)
def test_four_points_are_found_with_7000_units_an_arm(replicates: int) -> None:
    reports = study_experiment(
        AnalysisPolicy(),
        DEFAULT_METRICS,
        traffic=ExperimentTraffic(units_per_day=1_000, days=14),
        replicates=replicates,
        generator=np.random.default_rng(20_268),
    )
    power = observed("0.70 against 0.66", round(reports[0].detections.value * replicates), replicates)
    assert power.high >= 0.95
    if replicates >= 4_000:
        assert power.value >= 0.95


@pytest.mark.parametrize("harm", [0.0, -0.04, 0.05])
def test_the_simulated_decisions_are_those_of_the_analysis(harm: float) -> None:
    generator = np.random.default_rng(3)
    traffic, policy = ExperimentTraffic(units_per_day=1_000), AnalysisPolicy()
    units = generator.integers(150, 8_000, 15)
    rows = []
    for place, one in enumerate(DEFAULT_METRICS):
        change = harm if place == 0 else 0.0
        good = generator.binomial(units, one.control)
        rows.append([units, good, units, generator.binomial(units, one.control + change)])
    counts = np.array(rows, dtype=np.float64)
    said = simulated_decisions(counts, DEFAULT_METRICS, policy, traffic)
    expected = [
        analysed(counts[:, :, row], DEFAULT_METRICS, policy=policy, share=traffic.share)
        for row in range(len(units))
    ]
    assert [Decision(one) for one in said] == expected
