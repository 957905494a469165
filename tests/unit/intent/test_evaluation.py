"""The figures of an evaluation, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mangaassist.control.evaluation.intents import (
    IntentPrediction,
    auroc,
    calibration_error,
    ratio,
    summarise,
)


def prediction(truth: str, label: str, *, best: str | None = None, outside: float = 0.0) -> IntentPrediction:
    return IntentPrediction(
        text="t",
        truth=truth,
        label=label,
        scope_best=best or label,
        confidence=1.0,
        outside_score=outside,
        stage="encoder",
    )


def test_a_rejected_text_in_scope_counts_as_wrong_and_its_best_label_is_kept_apart() -> None:
    report = summarise(
        [
            prediction("faq", "faq", outside=0.1),
            prediction("faq", "oos", best="faq", outside=0.9),
            prediction("oos", "oos", best="faq", outside=0.8),
            prediction("oos", "faq", outside=0.2),
        ]
    )
    assert report.accuracy.value == 0.5
    assert report.in_scope_accuracy.value == 0.5
    assert report.in_scope_accuracy_without_rejection.value == 1.0
    assert report.out_of_scope_recall.value == 0.5
    # pairs of (outside, inside): .8>.1, .8<.9, .2>.1, .2<.9
    assert report.out_of_scope_auroc == 0.5
    assert report.per_class_f1 == {"faq": 0.5, "oos": 0.5}
    assert report.confusion == ((1, 1), (1, 1))


def test_figures_without_texts_to_compute_them_on_are_none() -> None:
    report = summarise([prediction("faq", "faq")])
    assert report.out_of_scope_auroc is None
    assert report.out_of_scope_recall.value is None
    assert report.curve == ()


def test_wilson_intervals_match_the_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662
    estimate = ratio(81, 263)
    assert estimate.low == pytest.approx(0.2553, abs=1e-4)
    assert estimate.high == pytest.approx(0.3662, abs=1e-4)


def test_auroc_counts_ties_as_half() -> None:
    assert auroc([0.5, 0.9], [0.5, 0.1]) == 0.875


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    confidence = np.full(10, 0.8)
    right = np.array([True] * 6 + [False] * 4)
    assert calibration_error(confidence, right) == pytest.approx(0.2)
