"""Training: the same inputs give the same version, left-out scores are what refitting would give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mangaassist.control.training.calibration import CalibrationTargets, calibrate
from mangaassist.control.training.intent import (
    IntentExample,
    IntentTrainingConfig,
    dataset_hash,
    train_intent,
)
from mangaassist.control.training.intent_data import is_held_out, read_examples, stratified_folds
from mangaassist.control.training.ridge import fit_ridge
from mangaassist.domain.errors import ConfigurationError, InvalidRequestError, NotFoundError
from mangaassist.serving.intent.artifact import read_artifact, write_artifact
from tests.support.intents import NgramEmbedder, examples, train_small

PACK = Path(__file__).parents[3] / "stores" / "jp-manga" / "intents"


def test_training_twice_gives_the_same_version() -> None:
    assert train_small().version == train_small().version


def test_another_seed_of_the_sample_or_another_setting_gives_another_version() -> None:
    sampled = IntentTrainingConfig(max_support=40)
    assert train_small(sampled).version != train_small().version
    assert train_small(IntentTrainingConfig(ridge=0.5)).version != train_small().version


def test_the_dataset_hash_ignores_order_and_sees_labels() -> None:
    rows = examples()
    assert dataset_hash(rows) == dataset_hash(rows[::-1])
    relabelled = [IntentExample(text=rows[0].text, intent="faq"), *rows[1:]]
    assert dataset_hash(relabelled) != dataset_hash(rows)


def test_a_written_artifact_decides_like_the_trained_one(tmp_path: Path) -> None:
    artifact = train_small()
    write_artifact(artifact, tmp_path)
    model, read = artifact.model(), read_artifact(tmp_path).model()
    assert read.version == model.version
    encoding = NgramEmbedder().encode(["what about this bargain"])[0]
    features = model.features("what about this bargain")
    assert read.encoder_verdict(features, encoding).confidence == pytest.approx(
        model.encoder_verdict(features, encoding).confidence
    )


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_artifact(train_small(), tmp_path / name)
    assert (tmp_path / "one" / "model.npz").read_bytes() == (tmp_path / "two" / "model.npz").read_bytes()


def test_a_tampered_artifact_is_refused(tmp_path: Path) -> None:
    write_artifact(train_small(), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["decisions"]["kernel"]["vector"]["width"] = 9.0
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigurationError, match="train intent"):
        read_artifact(tmp_path)


def test_left_out_scores_equal_those_of_a_refit_without_the_row() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(12, 4)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 12)]
    gram = points @ points.T
    fit = fit_ridge(gram.copy(), targets, ridge=0.5)
    others = np.arange(1, 12)
    inner = gram[np.ix_(others, others)] + 0.5 * np.eye(11)
    refit = gram[0, others] @ np.linalg.solve(inner, targets[others])
    assert fit.left_out_scores[0] == pytest.approx(refit, abs=1e-4)


def test_the_recall_threshold_reaches_its_recall_on_the_scores_it_was_fitted_to() -> None:
    rng = np.random.default_rng(5)
    labels = ("escalation", "faq", "promotion")
    truth = rng.integers(0, 3, 600)
    scores = (np.eye(3)[truth] + rng.normal(0, 0.6, (600, 3))).astype(np.float32)
    calibration = calibrate(
        scores,
        truth,
        labels=labels,
        outside_label=None,
        targets=CalibrationTargets(recalls={"escalation": 0.97}),
    )
    from mangaassist.serving.intent.decision import Decider

    decider = Decider(labels, None, calibration)
    found = [decider.decide(row).label == "escalation" for row in scores[truth == 0]]
    assert np.mean(found) >= 0.97


def test_a_separable_set_is_learned_and_its_outsiders_rejected() -> None:
    model, embedder = train_small().model(), NgramEmbedder()
    for example in examples():
        verdict = model.encoder_verdict(model.features(example.text), embedder.encode([example.text])[0])
        assert verdict.label == example.intent


def test_one_intent_is_nothing_to_train_on() -> None:
    with pytest.raises(InvalidRequestError, match="two intents"):
        train_intent(
            [IntentExample(text="a", intent="faq")],
            encodings=None,
            config=IntentTrainingConfig(),
            provenance={},
        )


def test_near_duplicates_are_held_out_together() -> None:
    rows = [
        IntentExample(text=f"where is my order number {n} please tell me", intent="faq") for n in range(9)
    ]
    assert len(set(is_held_out(rows).tolist())) == 1


def test_the_split_of_a_text_does_not_depend_on_the_others() -> None:
    rows = [IntentExample(text=word * 3, intent="faq") for word in ("abc", "xyz", "pqr", "mno", "hij", "uvw")]
    assert is_held_out(rows)[:3].tolist() == is_held_out(rows[:3]).tolist()


def test_folds_spread_every_intent() -> None:
    rows = examples()
    folds = stratified_folds(rows, 5, seed=0)
    for intent in {row.intent for row in rows}:
        sizes = np.bincount(folds[[row.intent == intent for row in rows]], minlength=5)
        assert sizes.max() - sizes.min() <= 1


def test_a_row_that_cannot_be_read_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "hi", "intent": "chitchat"}\n{"text": "hi"}\n')
    with pytest.raises(InvalidRequestError, match="line 2"):
        read_examples(path)
    with pytest.raises(NotFoundError):
        read_examples(tmp_path / "none.jsonl")


def test_the_shipped_model_was_trained_on_the_utterances_of_the_pack() -> None:
    rows = [row for file in sorted(PACK.glob("*.jsonl")) for row in read_examples(file)]
    shipped = read_artifact(PACK / "model")
    assert shipped.provenance["dataset_hash"] == dataset_hash(rows), "run `mangaassist train intent`"


def test_no_utterance_of_the_pack_has_two_intents() -> None:
    seen: dict[str, str] = {}
    for file in sorted(PACK.glob("*.jsonl")):
        for row in read_examples(file):
            assert seen.setdefault(row.text.casefold(), row.intent) == row.intent, row.text


def test_rules_are_never_wrong_on_the_utterances_of_the_pack() -> None:
    from mangaassist.serving.intent.rules import load_rules

    rules = load_rules(PACK / "rules.yaml")
    for file in sorted(PACK.glob("*.jsonl")):
        for row in read_examples(file):
            rule = rules.match(row.text)
            assert rule is None or rule.intent == row.intent, (rule.rule_id, row)
