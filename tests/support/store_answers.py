"""Correct answers of the embedded composer over the shipped store, and facts planted wrong in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from mangaassist.adapters.embedded.composer.model import compose
from mangaassist.domain.generation import AnswerLimits
from mangaassist.domain.grounding import Passage
from mangaassist.domain.guardrails import ClaimCheck
from mangaassist.domain.intents import Intent
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.retrieval.chunking import chunk_of_article
from tests.support.conversations import Conversation, decided
from tests.support.demo_store import demo_store

_PRODUCT_QUESTIONS = (
    "how much is {t}?", "is {t} in stock?", "how much is {t} volume {v}?", "do you have volume {v} of {t}?",
    "who wrote {t}?", "how many volumes does {t} have?", "is {t} finished?", "tell me about {t}",
    "when does volume {v} of {t} come out?", "is there a box set of {t}?", "compare {t} and {u}",
    "what age is {t} for?", "when was {t} first published?", "what's the cheapest way to read {t}?",
    "what is the isbn of {t} vol {v}?", "which editions of {t} do you sell?", "is {t} available as ebook?",
)  # fmt: skip
_RECOMMENDATIONS = (
    "recommend something like {t}", "I want a {g} manga under ${p}", "suggest {g} manga for a {a} year old",
    "finished {g} series with less than {n} volumes?", "what should I read after {t}?",
    "dark {g} manga please", "good {g} manga from the {y}s", "cheap box sets of {g} manga",
)  # fmt: skip
_ORDERS = (
    "where is my order?", "when will my order arrive?", "what did I order last?", "my order is late",
    "how much was my last order?",
)  # fmt: skip
_PROMOTIONS = ("any deals on {g} manga?", "what promotions do you have?", "is there a discount on box sets?")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAnswer:
    """A question, its answer, and what the answer was made from."""

    question: str
    text: str
    context: GuardrailContext


async def store_answers(count: int, *, seed: int) -> list[StoreAnswer]:
    """Return that many answers to generated questions; the same for the same seed."""
    random = Random(seed)
    return [await _answer(random) for _ in range(count)]


async def _answer(random: Random) -> StoreAnswer:
    store = demo_store()
    intent, question, customer_id = _question(random)
    played = await Conversation(store, customer_id=customer_id).say(question, decided(intent))
    facts = played.facts
    if intent is Intent.FAQ:
        article = random.choice(store.pack.articles.records)
        chunk = chunk_of_article(article)
        question = random.choice(article.questions or (article.title,))
        passage = Passage(
            chunk_id=chunk.chunk_id, kind="faq", ref=chunk.ref, title=chunk.title, text=chunk.text, score=1.0
        )
        facts = replace(facts, passages=(passage,), reading=replace(facts.reading, text=question))
    context = GuardrailContext(question=question, intent=intent, handler="llm", facts=facts)
    return StoreAnswer(question=question, text=compose(facts, AnswerLimits()), context=context)


def _question(random: Random) -> tuple[Intent, str, str | None]:
    pack = demo_store().pack
    series, other = random.choice(pack.series.records), random.choice(pack.series.records)
    words = {
        "t": series.title,
        "u": other.title,
        "v": random.randint(1, min(series.volumes or 10, 40)),
        "g": random.choice(series.genres),
        "p": random.choice([8, 10, 15, 20, 30]),
        "a": random.choice([8, 10, 12, 14, 16, 18]),
        "n": random.choice([5, 10, 12, 20]),
        "y": random.choice([1980, 1990, 2000, 2010]),
    }
    customer = random.choice(pack.customers.records).customer_id
    kind = random.random()
    if kind < 0.5:
        return Intent.PRODUCT_QUESTION, random.choice(_PRODUCT_QUESTIONS).format(**words), None
    if kind < 0.7:
        return Intent.RECOMMENDATION, random.choice(_RECOMMENDATIONS).format(**words), None
    if kind < 0.82:
        return Intent.ORDER_TRACKING, random.choice(_ORDERS), customer
    if kind < 0.9:
        return Intent.PROMOTION, random.choice(_PROMOTIONS).format(**words), None
    return Intent.FAQ, "a question", None


def planted(answer: StoreAnswer, claim: ClaimCheck, random: Random) -> Iterator[tuple[str, str]]:
    """Yield (what, text) with the claim made wrong: a value that the facts hold nowhere."""
    for what, new in _wrong_values(claim, random):
        yield what, answer.text[: claim.start] + new + answer.text[claim.end :]


def _wrong_values(claim: ClaimCheck, random: Random) -> Iterator[tuple[str, str]]:
    text = claim.text
    numbers = re.findall(r"\d+", text)
    if claim.kind == "price":
        amount = float(text.strip("$").replace(",", ""))
        yield "price", f"${amount + random.choice([0.37, 1.23, 3.61]):.2f}"
    elif claim.kind == "date" and re.search(r"\b\d{1,2}\b", text):
        yield "date", re.sub(r"\b(\d{1,2})\b", lambda match: str(int(match[1]) % 28 + 1), text, count=1)
    elif claim.kind == "product_id" and text.isdigit():
        place = random.randrange(9)
        yield "id", text[:place] + str((int(text[place]) + random.randint(1, 9)) % 10) + text[place + 1 :]
    elif claim.kind == "volume" and len(numbers) == 1:
        yield "volume", text.replace(numbers[0], str(int(numbers[0]) + random.randint(400, 900)))
    elif claim.kind == "stock" and text.lower() in ("in stock", "available at once"):
        yield "stock", "out of stock"
        yield "stock", f"{random.randint(1_000, 9_999)} copies"
    elif claim.kind == "stock" and text.lower() == "out of stock":
        yield "stock", "in stock"
