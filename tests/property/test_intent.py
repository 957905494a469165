"""Intent decisions: probabilities add up, white space and case do not matter, hashing is stable."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.serving.intent.decision import Calibration, Decider
from mangaassist.serving.intent.features import BUCKETS, ngram_buckets, normalise
from tests.support.intents import train_small

LABELS = ("escalation", "faq", "out_of_scope", "promotion")
SCORES = st.lists(st.floats(-2, 2, width=32), min_size=4, max_size=4)
CALIBRATIONS = st.builds(
    Calibration,
    temperature=st.floats(0.1, 50),
    outside_weights=st.none() | st.tuples(*[st.floats(-20, 20)] * 4),
    outside_threshold=st.floats(0, 1),
    recall_thresholds=st.fixed_dictionaries({"escalation": st.floats(0, 1)}),
)
MODEL = train_small().model()


@given(scores=SCORES, calibration=CALIBRATIONS)
def test_a_verdict_is_a_distribution_over_the_labels(scores: list[float], calibration: Calibration) -> None:
    verdict = Decider(LABELS, "out_of_scope", calibration).decide(np.array(scores, dtype=np.float32))
    assert abs(verdict.probabilities.sum() - 1) < 1e-6
    assert 0 <= verdict.confidence <= 1
    assert 0 <= verdict.outside_score <= 1
    assert verdict.label in LABELS
    assert verdict.runner_up != verdict.label
    assert verdict.scope_best != "out_of_scope"


@given(text=st.text(max_size=200))
def test_normalising_is_idempotent(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(text=st.text(max_size=200))
def test_buckets_are_distinct_ascending_and_in_range(text: str) -> None:
    buckets = ngram_buckets(normalise(text))
    assert (np.diff(buckets) > 0).all()
    assert len(buckets) == 0 or (buckets[0] >= 0 and buckets[-1] < BUCKETS)


@given(
    text=st.text(alphabet=st.characters(codec="ascii"), max_size=80),
    before=st.sampled_from(["", " ", "\n\t "]),
)
def test_white_space_around_and_case_do_not_change_the_decision(text: str, before: str) -> None:
    plain = MODEL.first_verdict(MODEL.features(text))
    other = MODEL.first_verdict(MODEL.features(before + text.upper() + before))
    assert (plain.label, plain.confidence) == (other.label, other.confidence)
