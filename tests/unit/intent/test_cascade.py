"""The cascade: which stage decides, and what happens without an encoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.intents import Intent
from mangaassist.serving.intent.cascade import IntentCascade
from mangaassist.serving.intent.model import IntentModel
from mangaassist.serving.intent.rules import IntentRules, load_rules
from tests.support.intents import BrokenEmbedder, NgramEmbedder, train_small

RULES_FILE = Path(__file__).parents[3] / "stores" / "jp-manga" / "intents" / "rules.yaml"


@pytest.fixture(scope="module")
def model() -> IntentModel:
    return train_small().model()


@pytest.fixture(scope="module")
def rules() -> IntentRules:
    return load_rules(RULES_FILE)


def never_sure(model: IntentModel) -> IntentModel:
    calibration = dataclasses.replace(model.first_calibration, sure_at=2.0)
    return dataclasses.replace(model, first_calibration=calibration)


def always_sure(model: IntentModel) -> IntentModel:
    calibration = dataclasses.replace(model.first_calibration, sure_at=0.0)
    return dataclasses.replace(model, first_calibration=calibration)


async def test_a_rule_decides_without_any_model(model: IntentModel, rules: IntentRules) -> None:
    classified = await IntentCascade(model, rules, NgramEmbedder()).classify("I want to talk to a human")
    assert classified.decision.intent is Intent.ESCALATION
    assert classified.decision.classification_path == "rule"
    assert classified.decision.stage == "rule:asks_for_a_person"
    assert classified.vector is None


async def test_a_sure_first_stage_spares_the_encoder(model: IntentModel, rules: IntentRules) -> None:
    classified = await IntentCascade(always_sure(model), rules, BrokenEmbedder()).classify("any coupon")
    assert (classified.decision.intent, classified.decision.stage) == (Intent.PROMOTION, "first_stage")
    assert classified.decision.classification_path == "model"


async def test_an_unsure_first_stage_asks_the_encoder_and_hands_its_vector_on(
    model: IntentModel, rules: IntentRules
) -> None:
    embedder = NgramEmbedder()
    classified = await IntentCascade(never_sure(model), rules, embedder).classify("where is my parcel")
    assert (classified.decision.intent, classified.decision.stage) == (Intent.ORDER_TRACKING, "encoder")
    assert classified.vector is not None
    assert np.array_equal(classified.vector, await embedder.embed_query("where is my parcel"))


async def test_without_an_encoder_the_first_stage_decides_and_says_so(
    model: IntentModel, rules: IntentRules
) -> None:
    cascade = IntentCascade(never_sure(model), rules, None)
    classified = await cascade.classify("any coupon")
    assert not cascade.uses_encoder
    assert classified.decision.classification_path == "fallback"
    assert classified.decision.intent is Intent.PROMOTION


async def test_a_failing_encoder_costs_a_stage_and_not_the_answer(
    model: IntentModel, rules: IntentRules
) -> None:
    classified = await IntentCascade(never_sure(model), rules, BrokenEmbedder()).classify("any coupon")
    assert classified.decision.classification_path == "fallback"
    assert classified.vector is None


def test_an_embedder_of_another_model_is_not_trusted(model: IntentModel, rules: IntentRules) -> None:
    class Stranger(NgramEmbedder):
        version = "words-1"

    class Rebuilt(NgramEmbedder):
        version = "ngrams-2"

    assert not IntentCascade(model, rules, Stranger()).uses_encoder
    assert IntentCascade(model, rules, Rebuilt()).uses_encoder


def test_labels_that_are_no_intents_are_refused(model: IntentModel, rules: IntentRules) -> None:
    foreign = dataclasses.replace(model, labels=("balance", *model.labels[1:]))
    with pytest.raises(ConfigurationError, match="balance"):
        IntentCascade(foreign, rules, None)


@pytest.mark.parametrize("text", ["", "   ", "?", "\ud800", "漫画", "a" * 10_000])
async def test_any_text_gets_a_decision(text: str, model: IntentModel, rules: IntentRules) -> None:
    classified = await IntentCascade(model, rules, NgramEmbedder()).classify(text)
    assert 0.0 <= classified.decision.confidence <= 1.0


def test_a_wrong_rule_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("confidence: 0.9\nrules:\n  - {id: broken, intent: faq, pattern: '('}\n")
    with pytest.raises(ConfigurationError, match="broken"):
        load_rules(path)
