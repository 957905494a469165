"""What the toxicity rules say outright, and what only sounds like it in a manga store."""

from __future__ import annotations

from pathlib import Path

import pytest

from mangaassist.bootstrap.guardrails import load_ruleset
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.injection.decoding import Vocabulary
from mangaassist.serving.guardrails.injection.views import views_of
from mangaassist.serving.guardrails.stage import Finding
from mangaassist.serving.guardrails.stages.input_toxicity import InputToxicityStage

RULESET = load_ruleset(Path(__file__).parents[3] / "stores" / "jp-manga" / "guardrails" / "ruleset.yaml")
WORDS = Vocabulary(("go", "and", "kill", "yourself"))
STAGE = InputToxicityStage(RULESET, lambda text: views_of(text, WORDS))


async def check(text: str) -> Finding:
    return await STAGE.check(text, GuardrailContext(), RULESET.stages[STAGE.name])


@pytest.mark.parametrize(
    ("text", "rule_id"),
    [
        ("I will come over and kill you", "threat_of_violence"),
        ("someone should burn your shop", "threat_of_violence"),
        ("I'm going to bomb your office", "threat_of_violence"),
        ("we know where you live", "threat_of_attack"),
        ("just kill yourself", "wish_of_death"),
        ("g o  a n d  k i l l  y o u r s e l f", "wish_of_death"),
        ("I want to kill myself", "self_harm"),
        ("all immigrants are vermin", "hate"),
        ("send me your nudes", "sexual_harassment"),
        ("fuck you, where is my order", "abuse"),
        ("you are a bunch of idiots", "insult"),
        ("くたばれ", "insult_japanese"),
        ("ihr seid Vollidioten", "insult_german"),
    ],
)
async def test_what_is_said_outright_is_found(text: str, rule_id: str) -> None:
    finding = await check(text)
    assert finding.rule_id == rule_id
    assert finding.spans
    assert 0 <= finding.spans[0].start < finding.spans[0].end <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "do you have Kill la Kill?",
        "I'm dying to read the next volume, you guys are killing me with the wait",
        "is Assassination Classroom suitable for a child",
        "the manga where she wants to kill the king",
        "in which volume does Light kill L?",
        "I want to shoot photos of your store",
        "does Murder Inc. Vol. 3 hurt your feelings",
        "the parcel was beaten up, can you replace it",
        "Idiot's Guide to manga, is it in stock",
        "Monster: is he shot in the end?",
        "This is ridiculous, third time my order is late!",
        "I am really angry with your service",
        "the bastard of the king, what was that series called",
        "Dorohedoro, it's bloody good",
        "死ぬほど面白い漫画はありますか",
    ],
)
async def test_shop_talk_with_hard_words_is_not_abuse(text: str) -> None:
    assert (await check(text)).score == 0
