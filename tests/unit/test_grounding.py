"""Grounding: what counts as unsupported, and that every sentence shows its evidence."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from mangaassist.bootstrap.guardrail_models import GuardrailModels, load_guardrail_models
from mangaassist.control.evaluation.guardrail_grounding import evaluate_grounding, read_grounding
from mangaassist.control.training.grounding import family_of, train_grounding
from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.guardrails.claims.grounding_model import GroundingModel
from mangaassist.serving.guardrails.claims.support import FEATURES
from mangaassist.serving.guardrails.stages.grounding_check import claims_of, statements

FOLDER = Path(__file__).parents[2] / "stores" / "jp-manga" / "guardrails"
DATA = Path(__file__).parents[3] / "shared" / "data" / "guardrails" / "grounding.jsonl"
CONTEXT = (
    "The winter sale starts on December 5 and offers 20% off all box sets. Members of the club save an extra"
    " $10 on orders over $60. The offer does not include digital editions. Ms. Tanaka, our store manager,"
    " will announce the winners of the reading contest in January."
)


@lru_cache(maxsize=1)
def models() -> GuardrailModels:
    return load_guardrail_models(FOLDER)


def score(response: str, context: str = CONTEXT) -> float:
    sources = models().support.sources([("c", context)])
    return models().grounding.score(models().support.features(response, sources))


def feature(name: str, response: str) -> float:
    return models().support.features(response, models().support.sources([("c", CONTEXT)]))[name]


FAITHFUL = (
    "The winter sale starts on December 5 with 20% off all box sets, and members of the club save an extra"
    " $10 on orders over $60. Ms. Tanaka will announce the winners of the reading contest in January."
)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("20% off", "30% off"),
        ("December 5", "December 9"),
        ("$10 on", "$15 on"),
        ("Ms. Tanaka", "Ms. Yamada"),
        ("The winter sale starts", "The winter sale does not start"),
        ("save an extra", "lose an extra"),
        ("all box sets", "no box sets"),
    ],
)
def test_a_single_edit_raises_the_score(right: str, wrong: str) -> None:
    assert right in FAITHFUL
    assert score(FAITHFUL.replace(right, wrong)) > score(FAITHFUL)


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("unknown_number", "The sale offers 35% off."),
        ("number_of_other_kind", "Members save $20 there."),
        ("unknown_name", "It is Yamada who announces it."),
        ("unsupported_negation", "The sale never starts."),
        ("opposite", "Members spend an extra $10."),
        ("negating_prefix", "It is a nonwinter sale."),
        ("unknown_code", "Use WINTER25 today."),
    ],
)
def test_each_kind_of_difference_is_a_feature(name: str, response: str) -> None:
    assert feature(name, response) > 0
    assert feature(name, FAITHFUL) == 0


def test_what_is_negated_in_the_source_may_be_negated() -> None:
    assert feature("unsupported_negation", "The offer does not include digital editions.") == 0


def test_every_sentence_shows_its_best_evidence_and_what_it_lacks() -> None:
    sources = models().support.sources([("article-1", CONTEXT)])
    text = "Members of the club save an extra $10. Free unicorn rides await. Shall I look?"
    claims = claims_of(text, sources, models().support)
    assert [text[claim.start : claim.end] for claim in claims] == [claim.text for claim in claims]
    supported, invented = claims
    assert supported.support == 1.0
    assert "Members of the club" in str(supported.evidence)
    assert supported.source_id == "article-1"
    assert invented.support < 0.5
    assert "unicorn" in str(invented.reason)


def test_questions_and_invitations_are_no_claims() -> None:
    assert statements("It costs $5. Shall I order it? Tell me which one you like.") == "It costs $5."


def test_a_model_for_other_features_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="train grounding"):
        GroundingModel.from_document({"features": list(FEATURES[:-1])})
    with pytest.raises(ConfigurationError, match="weights"):
        GroundingModel.from_document({"features": list(FEATURES), "means": [], "scales": [], "weights": []})


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_file(), reason="the public data folder is not beside the checkout")
def test_single_edits_are_told_on_contexts_never_seen() -> None:
    rows = [row for row in read_grounding(DATA) if not row.source.startswith("halueval")]
    training = train_grounding(rows, models().support, progress=lambda phase, done, total: None)
    held_out = iter(training.held_out_scores)
    report = evaluate_grounding(
        rows, lambda context, response: next(held_out), threshold=0.5, progress=lambda *_: None
    )
    by_source = report["by_source"]
    assert isinstance(by_source, dict)
    assert {family_of(row) for row in rows} <= set(by_source)
    assert by_source["summedits"]["auroc"] >= 0.72
    assert by_source["faithdial"]["auroc"] >= 0.8
