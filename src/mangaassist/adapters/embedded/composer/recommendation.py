"""Recommendations: what to start with, why, and what to consider beside it."""

from __future__ import annotations

from collections.abc import Sequence

from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.phrasing import (
    by_authors,
    character_of,
    length_of,
    more,
    offer,
    sentences,
    starting_offer,
    think_of,
)
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.adapters.embedded.composer.wishes import (
    avoided_moods,
    avoided_things,
    reader,
    wish_of,
)
from mangaassist.adapters.embedded.composer.word_lists import STATE_OPENINGS
from mangaassist.domain.grounding import AnswerFacts, SeriesFacts
from mangaassist.domain.wording import capitalised, in_words, listed, money

_MAX_BLURB_WORDS = 38
_GLOOMY = frozenset(("dark", "grim", "creepy", "tense", "intense"))


def recommend(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return a recommendation from the candidates, or a plain statement that nothing fits."""
    draft = Draft()
    title = facts.reading.unknown_title
    if title is not None:
        draft.say(f"We don't carry “{title}”, and I know too little of it to judge what is close.")
    on_the_table = _asked_about(facts)
    if on_the_table is not None:
        _pitch(draft, facts, on_the_table)
        return draft
    picks = facts.candidates[: max(1, voice.limits.max_titles)]
    if not picks:
        _nothing(draft, facts)
        return draft
    if facts.relaxed:
        draft.say(
            f"Nothing on our shelves meets every wish at once, so I have set aside {listed(facts.relaxed)}."
        )
    _first_pick(draft, facts, voice, picks[0])
    for position, pick in enumerate(picks[1:], start=1):
        draft.new_paragraph()
        _another_pick(draft, facts, voice, picks=picks, position=position, pick=pick)
    draft.new_paragraph()
    draft.say(_closing(facts, voice, len(picks)), Weight.PLEASANTRY)
    return draft


def _asked_about(facts: AnswerFacts) -> SeriesFacts | None:
    """Return the series that the shopper has an eye on, rather than one whose taste is asked for."""
    liked = facts.constraints.like_series
    return next((item for item in facts.subjects if item.series.series_id not in liked), None)


def _pitch(draft: Draft, facts: AnswerFacts, item: SeriesFacts) -> None:
    """Say what kind of book it is and for whom, so that the shopper can judge."""
    series = item.series
    character = character_of(series) or "a series"
    draft.say(f"{series.title}{by_authors(series)} is {character}{think_of(series, most=3)}.")
    draft.say(_blurb(item), Weight.DETAIL)
    draft.say(_practical(facts, item), Weight.SUPPORT)
    age = facts.constraints.reader_age
    if age is not None and series.min_age is not None and age < series.min_age:
        draft.say(f"It is rated {series.age_rating}, so I would not give it to {reader(age)}.")
    moods = [mood for mood in series.moods if mood in facts.constraints.exclude_moods]
    if moods:
        draft.say(f"Be warned that it is {listed(moods)}.")


def reason_clause(reason: str, pick: SeriesFacts, facts: AnswerFacts) -> str:
    """Turn a matched fact in plain words into a clause whose subject is `it`.

    A reason that only names moods or genres is said more fully, from the same series.
    """
    for title in _liked_titles(facts):
        reason = reason.removesuffix(f" with {title}").removesuffix(f" of {title}")
    if reason.startswith("is ") and (" about " in reason or _only_moods(reason, pick)):
        character = character_of(
            pick.series, leave_out=facts.constraints.exclude_moods, first=facts.constraints.moods
        )
        if character is not None:
            return f"it is {character}{think_of(pick.series)}"
    first = reason.split(" ", 1)[0].casefold()
    if first in ("it", "its"):
        return reason
    return f"it is {reason}" if first in STATE_OPENINGS else f"it {reason}"


def _only_moods(reason: str, pick: SeriesFacts) -> bool:
    words = reason.removeprefix("is ").replace(" and ", ", ").split(", ")
    return all(word in pick.series.moods for word in words)


def _nothing(draft: Draft, facts: AnswerFacts) -> None:
    wish = wish_of(facts.constraints)
    if wish is not None:
        draft.say(f"I have looked, and we have nothing that fits {wish}.")
    elif facts.reading.unknown_title is None:
        draft.say("I can't find a series that fits that.")
    loosened = [
        part
        for present, part in (
            (facts.constraints.max_price_usd is not None, "the budget"),
            (facts.constraints.max_volumes is not None, "the length"),
            (bool(facts.constraints.genres), "the genre"),
            (facts.constraints.kind is not None or facts.constraints.format is not None, "the edition"),
        )
        if present
    ]
    if loosened:
        draft.say(
            f"If you can loosen {listed(loosened, conjunction='or')}, I will gladly look again.",
            Weight.DETAIL,
        )
    else:
        draft.say(
            "Tell me a series you enjoyed, or a mood you are after, and I will look from there.",
            Weight.DETAIL,
        )


def _first_pick(draft: Draft, facts: AnswerFacts, voice: Voice, pick: SeriesFacts) -> None:
    series = pick.series
    lead = _lead(facts, voice)
    clauses = _reasons(facts, pick, count=2)
    draft.say(f"{lead} {series.title}: {listed(clauses)}." if clauses else f"{lead} {series.title}.")
    draft.say(_blurb(pick), Weight.DETAIL)
    draft.say(_practical(facts, pick, said=clauses), Weight.SUPPORT)


def _lead(facts: AnswerFacts, voice: Voice) -> str:
    """Return the beginning of the first sentence; the title follows."""
    if facts.relaxed:
        return voice.pick("lead", "The closest I have is", "What comes nearest is")
    if facts.reading.follow_up:
        return _follow_up_lead(facts, voice)
    wish, models = wish_of(facts.constraints), _liked_titles(facts)
    if models:
        return _lead_from_models(facts, voice, models=models, wish=wish)
    limits = _not_wanted(facts, "not")
    if wish and facts.constraints.reader_age is not None:
        return f"If it is to be {wish}{limits}, my first choice is"
    if wish:
        return f"{voice.pick('lead', 'For', 'If you are after')} {wish}{limits}, I would start with"
    if limits:
        return f"For something{limits}, I would start with"
    return voice.pick(
        "lead", "I would start with", "My first choice for you is", "The one I keep handing to people is"
    )


def _lead_from_models(facts: AnswerFacts, voice: Voice, *, models: Sequence[str], wish: str | None) -> str:
    limits = _not_wanted(facts, "less")
    but = f" and would like {wish}" if wish else ""
    if limits:
        but += f"{' and' if but else ' but'} want something{limits}"
    return f"If you {voice.pick('lead', 'enjoyed', 'liked')} {listed(models)}{but}, start with"


def _follow_up_lead(facts: AnswerFacts, voice: Voice) -> str:
    stated, age = facts.reading.stated, facts.reading.stated.reader_age
    choice = voice.pick("lead", "I would now go for", "the one I would take is", "have a look at")
    if "cheapest" in facts.reading.aspects:
        return voice.pick("lead", "A cheaper way in is", "Easier on the purse is")
    if stated.like_series and (models := _liked_titles(facts)):
        return f"If it is {listed(models)} you liked, {choice}"
    if age is not None:
        return f"For {reader(age)}, {choice}"
    wish = wish_of(stated)
    return capitalised(f"for {wish}, {choice}" if wish else choice)


def _not_wanted(facts: AnswerFacts, degree: str) -> str:
    """Return what was ruled out, to follow a noun: ` less grim`, ` with no horror`."""
    moods, things = avoided_moods(facts.constraints), avoided_things(facts.constraints)
    return (f" {'that is ' if degree == 'not' else ''}{degree} {moods}" if moods else "") + (
        f" with no {things}" if things else ""
    )


def _liked_titles(facts: AnswerFacts) -> list[str]:
    liked = set(facts.constraints.like_series)
    return [item.series.title for item in facts.subjects if item.series.series_id in liked]


def _reasons(facts: AnswerFacts, pick: SeriesFacts, *, count: int) -> list[str]:
    # the price is said with the offer
    reasons = [reason for reason in pick.reasons if not reason.startswith("starts at ")]
    clauses = list(dict.fromkeys(reason_clause(reason, pick, facts) for reason in reasons[:count]))
    if clauses:
        return clauses
    character = character_of(pick.series, leave_out=facts.constraints.exclude_moods)
    return [f"it is {character}{think_of(pick.series)}"] if character is not None else []


def _blurb(pick: SeriesFacts) -> str | None:
    if pick.series.description is None:
        return None
    opening = sentences(pick.series.description)[:1]
    return opening[0] if opening and len(opening[0].split()) <= _MAX_BLURB_WORDS else None


def _practical(facts: AnswerFacts, pick: SeriesFacts, *, said: Sequence[str] = ()) -> str | None:
    """Return length, age rating where a reader's age was given, and the offer to begin with."""
    spoken = " ".join(said)
    length = length_of(pick.series)
    parts = [f"it is {length}"] if length and "volume" not in spoken and length not in spoken else []
    if facts.constraints.reader_age is not None and pick.series.age_rating and "rated" not in spoken:
        rating = "for all ages" if pick.series.age_rating == "all" else pick.series.age_rating
        parts.append(f"it is rated {rating}" if not parts else f"rated {rating}")
    product = starting_offer(pick.products)
    if product is None:
        return f"{capitalised(listed(parts))}." if parts else None
    return (
        f"{capitalised(listed([*parts]))}; {offer(product, facts.now)}."
        if parts
        else f"{capitalised(offer(product, facts.now))}."
    )


def _another_pick(
    draft: Draft,
    facts: AnswerFacts,
    voice: Voice,
    *,
    picks: Sequence[SeriesFacts],
    position: int,
    pick: SeriesFacts,
) -> None:
    clauses = _reasons(facts, pick, count=1)
    because = f": {clauses[0]}" if clauses else ""
    angle = _angle(facts, voice, picks=picks, position=position, pick=pick, said=clauses)
    draft.say(f"{angle}{because}.", Weight.SUPPORT)
    if clauses and "(think" not in clauses[0]:
        draft.say(_essence(facts, pick), Weight.DETAIL)
    draft.say(_practical(facts, pick, said=clauses), Weight.DETAIL)


def _essence(facts: AnswerFacts, pick: SeriesFacts) -> str | None:
    character = character_of(pick.series, leave_out=facts.constraints.exclude_moods, most=1)
    return f"Expect {character}{think_of(pick.series)}." if character else None


def _angle(
    facts: AnswerFacts,
    voice: Voice,
    *,
    picks: Sequence[SeriesFacts],
    position: int,
    pick: SeriesFacts,
    said: Sequence[str],
) -> str:
    """Return how this one differs from the others, as the start of a sentence that ends in its title."""
    title, spoken = pick.series.title, " ".join(said)
    if "volume" not in spoken and _shortest(picks, position):
        return (
            f"The shortest of the {in_words(len(picks))} is {title}"
            if len(picks) > 2
            else f"{title} is the shorter choice"
        )
    unwelcome = {mood for earlier in picks[:position] for mood in earlier.series.moods}
    unwelcome |= {*facts.constraints.moods, *facts.constraints.exclude_moods}
    unwelcome |= _GLOOMY if facts.constraints.exclude_moods else set()
    mood = next((mood for mood in pick.series.moods if mood not in unwelcome and mood not in spoken), None)
    if mood is not None:
        return voice.pick(
            f"angle{position}",
            f"For something {more(mood)}, try {title}",
            f"A little {more(mood)} is {title}",
        )
    price = starting_offer(pick.products)
    if price is not None and price.price_usd is not None and _cheapest(picks, position):
        return f"The cheapest way in, at {money(price.price_usd)}, is {title}"
    return voice.pick(
        f"angle{position}", f"I would also look at {title}", f"Worth a place beside it is {title}"
    )


def _shortest(picks: Sequence[SeriesFacts], position: int) -> bool:
    mine = picks[position].series.volumes
    others = [item.series.volumes for index, item in enumerate(picks) if index != position]
    return mine is not None and all(other is not None and other > mine for other in others)


def _cheapest(picks: Sequence[SeriesFacts], position: int) -> bool:
    prices = [(product.price_usd if (product := starting_offer(item.products)) else None) for item in picks]
    mine = prices[position]
    others = [price for index, price in enumerate(prices) if index != position]
    return mine is not None and all(price is not None and price > mine for price in others)


def _closing(facts: AnswerFacts, voice: Voice, count: int) -> str:
    if facts.constraints.reader_age is not None and not facts.reading.follow_up:
        age = facts.constraints.reader_age
        return f"If the {age}-year-old has a favourite already, tell me and I will match it."
    if count > 1:
        return voice.pick(
            "closing",
            "Shall I compare two of them for you?",
            "Tell me which one tempts you and I will look up the editions.",
            "Would something shorter or cheaper suit you better?",
        )
    return voice.pick("closing", "Would you like another one beside it?", "Shall I look up its editions?")
