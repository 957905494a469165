"""Deals, codes and points."""

from __future__ import annotations

import re

from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.passages import CLOSE_ENOUGH, Extract, extract, terms
from mangaassist.adapters.embedded.composer.phrasing import sentences
from mangaassist.adapters.embedded.composer.policy import quote
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.adapters.embedded.composer.word_lists import OFFER_WORDS
from mangaassist.domain.grounding import AnswerFacts, Passage
from mangaassist.domain.store import Promotion
from mangaassist.domain.wording import day, last_day, listed, round_money

_MOST_OFFERS = 3
_FRAME_WORDS = 35
_ASKS_FOR_BALANCE = re.compile(
    r"\b(?:my|how many|many) (?:club )?points\b|\bpoints? balance\b", re.IGNORECASE
)
_CODE = re.compile(r"\b(?=[A-Za-z]*\d)[A-Za-z]{3,}\d{1,4}\b|\b[A-Z]{6,}\b")
# words that ask for offers as such and tell none apart
_GENERAL_TERMS = terms(" ".join(OFFER_WORDS))


def answer_promotion(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return the deals that matter for the question, or the rule that answers it."""
    draft = Draft()
    question = facts.reading.resolved_text
    if _ASKS_FOR_BALANCE.search(question):
        _balance(draft, facts)
        if facts.customer is None or re.search(r"\bhow many\b|\bbalance\b", question, re.IGNORECASE):
            return draft
    code = _asked_code(facts)
    if code is not None:
        _about_code(draft, facts, voice, code)
        return draft
    asked = terms(question) - _GENERAL_TERMS
    rule = _rule(facts, voice) if asked else None
    if rule is not None and facts.promotions and not _answers(rule, asked):
        rule = None
    chosen = _matching(facts.promotions, asked) if asked else list(facts.promotions)
    if chosen and (rule is None or not _rule_fits_better(rule, chosen[0], asked)):
        _offers(draft, facts, voice, promotions=chosen, single=bool(asked))
    elif rule is not None:
        quote(draft, voice, rule)
    elif facts.expired_promotions and asked:
        draft.say_all(_ended(facts, promotion) for promotion in facts.expired_promotions[:1])
    elif facts.promotions:
        draft.say("I have no offer for exactly that.")
        _offers(draft, facts, voice, promotions=list(facts.promotions), single=False)
    elif not draft:
        draft.say("I don't see an offer running at the moment.")
    return draft


def describe(facts: AnswerFacts, promotion: Promotion) -> str:
    """Return one deal in a sentence: what, how long, code, minimum, for whom."""
    until = (
        "has no end date"
        if promotion.ends_at is None
        else f"runs until the end of {day(last_day(promotion.ends_at), now=facts.now)} UTC"
    )
    if not promotion.is_current(facts.now):
        if promotion.starts_at > facts.now:
            until = f"starts on {day(promotion.starts_at, now=facts.now)}"
        else:
            return _ended(facts, promotion)
    terms_of_use = [
        f"the code is {promotion.code}" if promotion.code else None,
        f"the minimum is {round_money(promotion.min_order_usd)}"
        if promotion.min_order_usd is not None
        else None,
        "it is for JP Manga Club members" if promotion.members_only else None,
    ]
    conditions = [condition for condition in terms_of_use if condition]
    return f"“{promotion.title}” {until}" + (f"; {listed(conditions)}." if conditions else ".")


def _balance(draft: Draft, facts: AnswerFacts) -> None:
    if facts.customer is None:
        draft.say("Sign in and I can tell you your balance.", Weight.DETAIL)
    elif facts.customer.member:
        points = facts.customer.points
        draft.say(
            f"You have {points:,} {'point' if points == 1 else 'points'}, {_given_name(facts.customer.name)}."
        )
    else:
        draft.say("You are not in the JP Manga Club yet, so there is no balance.")


def _given_name(name: str) -> str:
    return name.split(" ", 1)[0]


def _asked_code(facts: AnswerFacts) -> str | None:
    """Return the code that the question names; a word in capitals only counts where a code is known."""
    known = {
        promotion.code.casefold(): promotion.code
        for promotion in (*facts.promotions, *facts.expired_promotions)
        if promotion.code
    }
    for word in re.findall(r"[A-Za-z0-9]+", facts.reading.text):
        if word.casefold() in known:
            return known[word.casefold()]
    match = _CODE.search(facts.reading.text)
    return (
        match[0]
        if match and re.search(r"\b(?:code|coupon|promo|voucher)\b", facts.reading.text, re.IGNORECASE)
        else None
    )


def _about_code(draft: Draft, facts: AnswerFacts, voice: Voice, code: str) -> None:
    for promotion in facts.promotions:
        if promotion.code == code:
            draft.say(f"Yes, {code} is valid." if promotion.is_current(facts.now) else None)
            draft.say(describe(facts, promotion))
            draft.say_all(_small_print(promotion, facts.reading.text), Weight.DETAIL)
            return
    for promotion in facts.expired_promotions:
        if promotion.code == code:
            draft.say(_ended(facts, promotion))
            if facts.promotions:
                draft.new_paragraph()
                draft.say(f"Running now: {describe(facts, facts.promotions[0])}", Weight.SUPPORT)
            return
    draft.say(f"I don't find an offer with the code {code}.")
    if facts.promotions:
        draft.say(f"What I can offer instead: {describe(facts, facts.promotions[0])}", Weight.SUPPORT)


def _ended(facts: AnswerFacts, promotion: Promotion) -> str:
    code = f", with the code {promotion.code}," if promotion.code else ""
    if promotion.ends_at is None:
        return f"“{promotion.title}”{code} is no longer running."
    return f"“{promotion.title}”{code} ended on {day(last_day(promotion.ends_at), now=facts.now)}."


def _offers(
    draft: Draft, facts: AnswerFacts, voice: Voice, *, promotions: list[Promotion], single: bool
) -> None:
    if single:
        draft.say(describe(facts, promotions[0]))
        draft.say_all(_small_print(promotions[0], facts.reading.text), Weight.DETAIL)
        return
    timed = sorted(promotions, key=lambda promotion: promotion.ends_at is None)
    draft.say(
        voice.pick(
            "offers", "Here is what is worth knowing right now.", "A few things are running at the moment."
        ),
        Weight.PLEASANTRY,
    )
    for index, promotion in enumerate(timed[:_MOST_OFFERS]):
        draft.say(describe(facts, promotion), Weight.ANSWER if index == 0 else Weight.SUPPORT)
    if len(timed) > _MOST_OFFERS:
        draft.say(
            "There are others; name a genre, a series or an edition and I will look for it.",
            Weight.PLEASANTRY,
        )


def _small_print(promotion: Promotion, question: str) -> list[str]:
    """Return the sentences of the offer's own text on what was asked and on combining it."""
    wanted = terms(question)
    body = sentences(promotion.body)
    rules = [
        text
        for text in body
        if re.search(r"\b(?:one code|combined|does not add|not add|add to)\b", text, re.IGNORECASE)
    ]
    asked = [text for text in body if len(terms(text) & wanted) >= 2 and (promotion.code or "%") not in text]
    return list(dict.fromkeys([*asked, *rules]))[:2]


def _matching(promotions: tuple[Promotion, ...], asked: frozenset[str]) -> list[Promotion]:
    scored = [(len(_terms_of(promotion) & asked), promotion) for promotion in promotions]
    found = sorted((entry for entry in scored if entry[0]), key=lambda entry: -entry[0])
    return [promotion for _, promotion in found]


def _terms_of(promotion: Promotion) -> frozenset[str]:
    """Return what the offer is about; its small print names other offers, so the body does not count."""
    fields = (*promotion.applies_to_kinds, *promotion.applies_to_genres, *promotion.applies_to_series)
    return terms(
        " ".join((promotion.title, promotion.code or "", *fields)).replace("_", " ").replace("-", " ")
    )


def _rule(facts: AnswerFacts, voice: Voice) -> Extract | None:
    articles: list[Passage] = [
        passage for passage in facts.passages if passage.kind in ("faq", "policy", "document")
    ]
    return extract(
        facts.reading.resolved_text, articles, max_words=max(20, voice.limits.max_words - _FRAME_WORDS)
    )


def _answers(rule: Extract, asked: frozenset[str]) -> bool:
    """Whether a rule is about what was asked, not merely about discounts."""
    return rule.coverage >= CLOSE_ENOUGH and bool(asked & terms(f"{rule.passage.title} {rule.passage.text}"))


def _rule_fits_better(rule: Extract, promotion: Promotion, asked: frozenset[str]) -> bool:
    in_rule = len(terms(f"{rule.passage.title} {rule.passage.text}") & asked)
    return in_rule > len(_terms_of(promotion) & asked)
