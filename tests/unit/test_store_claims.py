"""Typed claims: nothing correct is flagged, everything planted is caught."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import lru_cache
from random import Random

import pytest

from mangaassist.domain.guardrails import ClaimCheck
from mangaassist.serving.guardrails.claims.checking import ClaimChecker
from tests.support.demo_store import demo_store
from tests.support.store_answers import StoreAnswer, planted, store_answers

CORRECT_ANSWERS = 1_000


@lru_cache(maxsize=1)
def checker() -> ClaimChecker:
    return ClaimChecker(demo_store().catalog)


@pytest.fixture(scope="module")
def answers() -> list[StoreAnswer]:
    return asyncio.run(store_answers(CORRECT_ANSWERS, seed=20261121))


def wrong(text: str, answer: StoreAnswer) -> list[ClaimCheck]:
    return [claim for claim in checker().check(text, answer.context) if not claim.support]


def test_of_a_thousand_correct_answers_none_is_flagged(answers: list[StoreAnswer]) -> None:
    flagged = [
        (answer.question, answer.text, found) for answer in answers if (found := wrong(answer.text, answer))
    ]
    assert flagged == []
    kinds = Counter(
        claim.kind for answer in answers for claim in checker().check(answer.text, answer.context)
    )
    assert min(kinds[kind] for kind in ("price", "date", "product_id", "volume", "stock", "count")) >= 10


def test_every_planted_price_date_id_volume_and_stock_is_caught(answers: list[StoreAnswer]) -> None:
    random = Random(7)
    tried: Counter[str] = Counter()
    missed = []
    for answer in answers:
        for claim in checker().check(answer.text, answer.context):
            for what, text in planted(answer, claim, random):
                tried[what] += 1
                if not wrong(text, answer):
                    missed.append((what, answer.question, text))
    assert missed == []
    assert set(tried) == {"price", "date", "id", "volume", "stock"}
    assert min(tried.values()) >= 10


def test_evidence_tells_what_is_known(answers: list[StoreAnswer]) -> None:
    answer, price = next(
        (answer, claim)
        for answer in answers
        for claim in checker().check(answer.text, answer.context)
        if claim.kind == "price" and claim.source_id is not None and answer.text.count(claim.text) == 1
    )
    text = answer.text.replace(price.text, "$77.77")
    (found,) = [claim for claim in wrong(text, answer) if claim.text == "$77.77"]
    assert found.reason == "wrong_price"
    assert price.text in str(found.evidence)
    assert text[found.start : found.end] == "$77.77"
