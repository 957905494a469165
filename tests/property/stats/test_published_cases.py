"""Numeric cases computed elsewhere: by gbstats 0.8.0, statsmodels 0.15, krippendorff 0.9.0 and quadrature."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mangaassist.stats.agreement import krippendorff_alpha
from mangaassist.stats.bayes import compare_rates
from mangaassist.stats.mcnemar import PairedCounts, mcnemar_exact, paired_wald
from mangaassist.stats.moments import BinomialCounts, PairMoments
from mangaassist.stats.noninferiority import margin_evidence
from mangaassist.stats.paired import PairedSummary
from mangaassist.stats.pareto import Objective, pareto_front
from mangaassist.stats.ratios import linearised, ratio_difference
from tests.support.outcomes import computed

SHARED_CASES = Path(__file__).parents[4] / "shared" / "data" / "statistics" / "cases.json"
TOLERANCE = 1e-6

RATIO = {
    "control": {
        "n": 200,
        "num_sum": 610.0,
        "num_sum_squares": 2440.0,
        "den_sum": 980.0,
        "den_sum_squares": 5720.0,
        "num_den_sum_products": 3590.0,
    },
    "treatment": {
        "n": 190,
        "num_sum": 640.0,
        "num_sum_squares": 2710.0,
        "den_sum": 955.0,
        "den_sum_squares": 5640.0,
        "num_den_sum_products": 3760.0,
    },
}
RATIO_EXPECTED = {
    "control_ratio": 0.6224489795918368,
    "treatment_ratio": 0.6701570680628273,
    "control_se": 0.013988467191134522,
    "treatment_se": 0.014973391645990911,
    "effect": 0.047708088470990506,
    "p_value": 0.020416589832270127,
    "ci": [0.007419757227298929, 0.08799641971468208],
}
RATINGS: list[list[float | None]] = [
    [1, 0, 1, 1, 0, None, 1, 0],
    [1, 0, 0, 1, 0, 1, 1, 1],
    [None, 0, 1, 1, 0, 1, 1, 0],
]
# cost, p95 in ms, quality
CONFIGURATIONS: dict[str, tuple[float, float, float]] = {
    "A": (0.012, 2100, 0.84),
    "B": (0.004, 890, 0.72),
    "C": (0.012, 2300, 0.84),
    "D": (0.007, 1500, 0.80),
    "E": (0.008, 1500, 0.79),
    "H": (0.002, 800, 0.72),
}


def arm(sums: dict[str, Any]) -> PairMoments:
    return PairMoments.from_sums(
        n=sums["n"],
        total_y=sums["num_sum"],
        total_x=sums["den_sum"],
        total_squares_y=sums["num_sum_squares"],
        total_squares_x=sums["den_sum_squares"],
        total_products=sums["num_den_sum_products"],
    )


def check_ratio(given: dict[str, Any], expected: dict[str, Any]) -> None:
    arms = {name: arm(given[name]) for name in ("control", "treatment")}
    for name, moments in arms.items():
        ratio = computed(linearised(moments))
        assert ratio.mean == pytest.approx(expected[f"{name}_ratio"], abs=TOLERANCE)
        assert ratio.mean_variance**0.5 == pytest.approx(expected[f"{name}_se"], abs=TOLERANCE)
    result = computed(ratio_difference(arms["control"], arms["treatment"]))
    assert (result.effect, result.p_value) == pytest.approx(
        (expected["effect"], expected["p_value"]), abs=TOLERANCE
    )
    assert [result.low, result.high] == pytest.approx(expected["ci"], abs=TOLERANCE)


def check_rates(control: tuple[int, int], treatment: tuple[int, int], expected: tuple[float, ...]) -> None:
    result = compare_rates(
        BinomialCounts(n=control[0], successes=control[1]),
        BinomialCounts(n=treatment[0], successes=treatment[1]),
    )
    found = (result.chance_treatment_better, result.loss_of_treatment, result.loss_of_control)
    assert found == pytest.approx(expected, abs=TOLERANCE)


def check_pairs(table: list[list[int]], margin: float, expected: dict[str, Any]) -> None:
    (both, lost), (gained, neither) = table
    pairs = PairedCounts(n=both + lost + gained + neither, gained=gained, lost=lost)
    assert computed(mcnemar_exact(pairs)) == pytest.approx(expected["p_exact_two_sided"], abs=TOLERANCE)
    assert computed(mcnemar_exact(pairs, mid_p=True)) == pytest.approx(expected["p_midp"], abs=TOLERANCE)
    wald = computed(paired_wald(pairs, confidence=0.95, alternative="greater"))
    assert (wald.effect, wald.standard_error, wald.low) == pytest.approx(
        (expected["candidate_minus_champion"], expected["se_paired"], expected["one_sided_lower_95"]),
        abs=TOLERANCE,
    )
    differences = [0.0] * (both + neither) + [1.0] * gained + [-1.0] * lost
    evidence = computed(margin_evidence(PairedSummary.of(differences), margin))
    assert (evidence.low > -margin) is expected["non_inferior_at_margin"]


def front(points: dict[str, tuple[float, float, float]]) -> list[str]:
    objectives = (Objective(name="cost"), Objective(name="p95"), Objective(name="quality", maximise=True))
    members = pareto_front(list(points.values()), objectives)
    return [name for name, member in zip(points, members, strict=True) if member]


def test_the_clustered_ratio() -> None:
    check_ratio(RATIO, RATIO_EXPECTED)


def test_two_rates_with_uniform_priors() -> None:
    check_rates((100, 70), (100, 81), (0.9638494887702438, 0.0008719178868308502, 0.10871505514173287))


def test_paired_answers_of_two_systems() -> None:
    expected = {
        "p_exact_two_sided": 0.011507789735333063,
        "p_midp": 0.007915897334896732,
        "candidate_minus_champion": 0.034,
        "se_paired": 0.012715659636841495,
        "one_sided_lower_95": 0.013084601127260828,
        "non_inferior_at_margin": True,
    }
    check_pairs([[300, 12], [29, 159]], 0.02, expected)


def test_three_raters_of_two_categories() -> None:
    alpha = computed(krippendorff_alpha(RATINGS, level="nominal", random=Random(1))).value
    assert alpha == pytest.approx(0.641025641025641, abs=TOLERANCE)


def test_six_configurations() -> None:
    assert front(CONFIGURATIONS) == ["A", "D", "H"]


@pytest.mark.shared_data
def test_the_shared_cases_say_the_same() -> None:
    if not SHARED_CASES.exists():
        pytest.skip("the shared data folder is not beside the checkout")
    cases = {case["id"]: case for case in json.loads(SHARED_CASES.read_text(encoding="utf-8"))["cases"]}
    check_ratio(cases["ratio"]["input"], cases["ratio"]["expected"])
    beta = cases["betabinom"]
    arms = [(beta["input"][name]["n"], beta["input"][name]["successes"]) for name in ("control", "treatment")]
    names = ("prob_treatment_better", "expected_loss_ship_treatment", "expected_loss_ship_control")
    check_rates(arms[0], arms[1], tuple(beta["expected"][name] for name in names))
    pairs = cases["mcnemar"]
    table = pairs["input"]["table_rows_champion_correct_wrong_cols_candidate_correct_wrong"]
    check_pairs(table, pairs["input"]["margin"], pairs["expected"])
    ratings = cases["kripp"]
    alpha = computed(
        krippendorff_alpha(ratings["input"]["ratings_by_annotator"], level="nominal", random=Random(1))
    )
    assert alpha.value == pytest.approx(ratings["expected"]["alpha"], abs=TOLERANCE)
    points = {
        point["id"]: (point["cost"], point["latency_p95"], point["quality"])
        for point in cases["pareto"]["input"]["points"]
    }
    assert front(points) == cases["pareto"]["expected"]["front"]
