"""Questions about a series, a volume or an edition."""

from __future__ import annotations

import re

from mangaassist.adapters.embedded.composer import aspects
from mangaassist.adapters.embedded.composer.comparison import compare
from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.phrasing import stocked_range
from mangaassist.adapters.embedded.composer.recommendation import recommend
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.adapters.embedded.composer.word_lists import SERIES_WORDS
from mangaassist.domain.dialogue import Aspect
from mangaassist.domain.grounding import AnswerFacts, SeriesFacts
from mangaassist.domain.wording import capitalised, listed, money

_MAX_SIMILAR = 3
_WORD = re.compile(r"[a-z0-9']+")


def answer_product_question(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return what is known of the series asked about, and say what is not."""
    subjects = facts.subjects[: max(1, voice.limits.max_titles)]
    asked = _aspects(facts)
    if "compare" in asked and len(subjects) > 1:
        return compare(facts, voice)
    draft = Draft()
    if facts.reading.unknown_title is not None:
        _unknown_title(draft, facts, facts.reading.unknown_title)
        if not subjects:
            return draft
    if not subjects:
        return _without_subject(draft, facts, voice)
    if len(subjects) > 1 and _ambiguous(facts, subjects):
        draft.say(f"That could be {listed([item.series.title for item in subjects], conjunction='or')}.")
    for item in subjects:
        _about(draft, facts, voice, item=item, asked=asked)
        draft.new_paragraph()
    return draft


def _aspects(facts: AnswerFacts) -> tuple[Aspect, ...]:
    reading = facts.reading
    if reading.aspects or not reading.follow_up:
        return reading.aspects
    about_an_offer = set(reading.state.aspects) & {"price", "stock", "release_date", "product_id"}
    return reading.state.aspects if about_an_offer or not reading.volumes else ()


def _about(
    draft: Draft, facts: AnswerFacts, voice: Voice, *, item: SeriesFacts, asked: tuple[Aspect, ...]
) -> None:
    inquiry = aspects.Inquiry(
        series=item.series,
        products=item.products,
        volumes=facts.reading.volumes,
        constraints=facts.constraints,
        similar_titles=_similar_titles(facts, item, limit=min(_MAX_SIMILAR, voice.limits.max_titles)),
        question=facts.reading.text,
        now=facts.now,
    )
    if missing := inquiry.missing_volumes:
        _missing_volumes(draft, inquiry, missing)
        if len(missing) == len(inquiry.volumes) and set(asked) <= {
            "price",
            "stock",
            "release_date",
            "product_id",
        }:
            return
    said = [aspect for aspect in asked if aspect in aspects.RENDERERS]
    if {"price", "stock"} <= set(said):
        draft.say(aspects.price_and_stock(inquiry))
        said = [aspect for aspect in said if aspect not in ("price", "stock")]
    # a pronoun stands for the series only after its own name, not after another subject's
    named = bool(missing) or len(said) < len(asked)
    for aspect in said:
        draft.say(_with_pronoun(aspects.RENDERERS[aspect](inquiry), item.series.title, named=named))
        named = True
    if not named:
        _overview(draft, facts, inquiry)
    elif said == ["price"] and len(inquiry.meant) == 1:
        draft.say(_cheaper_alternative(inquiry), Weight.DETAIL)
    elif said == ["summary"]:
        draft.say(aspects.price_and_stock(inquiry) if inquiry.meant else None, Weight.DETAIL)


def _with_pronoun(text: str | None, title: str, *, named: bool) -> str | None:
    """Say `it` for a series that the answer has named already."""
    if text is None or not named:
        return text
    verbs = r"(?= (?:is|has|was|began|comes|in|runs)\b)"
    shortened = re.sub(rf" of {re.escape(title)}{verbs}", "", text)
    return capitalised(re.sub(rf"{re.escape(title)}{verbs}", "it", shortened))


def _overview(draft: Draft, facts: AnswerFacts, inquiry: aspects.Inquiry) -> None:
    if inquiry.volumes and inquiry.meant:
        draft.say(aspects.price_and_stock(inquiry))
        return
    if _asks_for_a_detail(facts, inquiry):
        draft.say(
            f"I'm not sure our records answer that about {inquiry.series.title}; here is what they do say."
        )
    draft.say(aspects.overview(inquiry))
    draft.say(aspects.price_and_stock(inquiry) if inquiry.meant else None, Weight.SUPPORT)


def _asks_for_a_detail(facts: AnswerFacts, inquiry: aspects.Inquiry) -> bool:
    names = " ".join((inquiry.series.title, *inquiry.series.alt_titles)).casefold()
    known = set(_WORD.findall(names)) | SERIES_WORDS | {str(volume) for volume in inquiry.volumes}
    return any(word not in known for word in _WORD.findall(facts.reading.text.casefold()))


def _missing_volumes(draft: Draft, inquiry: aspects.Inquiry, missing: tuple[int, ...]) -> None:
    which = (
        f"volume {missing[0]}"
        if len(missing) == 1
        else f"volumes {listed([str(volume) for volume in missing])}"
    )
    shelf = stocked_range(inquiry.series)
    have = f"; we stock {shelf}" if shelf else ""
    draft.say(f"I don't find {which} of {inquiry.series.title} among our offers{have}.")


def _cheaper_alternative(inquiry: aspects.Inquiry) -> str | None:
    priced = [product.price_usd for product in inquiry.products if product.price_usd is not None]
    current = inquiry.meant[0].price_usd
    if current is None or not priced or min(priced) >= current:
        return None
    cheapest = min(inquiry.products, key=lambda product: product.price_usd or float("inf"))
    if cheapest.kind == "digital" and cheapest.volume == inquiry.meant[0].volume:
        return f"As an e-book it is {money(min(priced))}."
    return aspects.cheapest(inquiry)


def _similar_titles(facts: AnswerFacts, item: SeriesFacts, *, limit: int) -> tuple[str, ...]:
    others = (candidate.series.title for candidate in facts.candidates if candidate.series != item.series)
    return tuple(others)[:limit]


def _ambiguous(facts: AnswerFacts, subjects: tuple[SeriesFacts, ...]) -> bool:
    """Whether one name was given and several series carry it."""
    text = facts.reading.text.casefold()
    titles = [item.series.title.casefold() for item in subjects]
    nested = any(a != b and a in b and b not in text for a in titles for b in titles)
    return nested or len(set(titles)) < len(titles)


def _unknown_title(draft: Draft, facts: AnswerFacts, title: str) -> None:
    draft.say(f"I can't find “{title}” in our catalogue, so I won't guess about it.")
    if facts.candidates:
        nearest = [item.series.title for item in facts.candidates[:1]]
        draft.say(f"The nearest thing I have is {nearest[0]}.", Weight.DETAIL)
    draft.say(
        "If it goes by another name, or you know the author, tell me and I will look again.", Weight.DETAIL
    )


def _without_subject(draft: Draft, facts: AnswerFacts, voice: Voice) -> Draft:
    if facts.candidates:
        return recommend(facts, voice)
    draft.say(
        voice.pick(
            "no subject",
            "I'm not sure which series you mean.",
            "I can't tell which book this is about.",
        )
    )
    draft.say(
        "Give me its title, and the volume if it matters, and I will look up price, stock and editions.",
        Weight.DETAIL,
    )
    return draft
