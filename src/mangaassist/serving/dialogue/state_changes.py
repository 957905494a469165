"""The state of a conversation after a message, and after its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mangaassist.domain.dialogue import Constraints, DialogueState, Reading
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent
from mangaassist.serving.dialogue.merging import has_taste, lasting, merge
from mangaassist.serving.dialogue.topic import SHOPPING

MAX_SHOWN: Final = 60
_BUNDLES: Final = ("box_set", "deluxe", "omnibus")
_ASIDES: Final = frozenset({Intent.CHITCHAT, Intent.OUT_OF_SCOPE})  # they do not end the topic


def next_state(reading: Reading, intent: Intent, before: DialogueState) -> DialogueState:
    """Return the state after a message of `intent`, before its answer."""
    if intent in _ASIDES:
        return before
    if intent is Intent.RECOMMENDATION:
        return _recommending(reading, before)
    if intent is Intent.PRODUCT_QUESTION:
        return _questioning(reading, before)
    order_id = reading.order_ids[0] if reading.order_ids else before.focus_order_id
    return replace(before, topic=intent, aspects=reading.aspects, focus_order_id=order_id)


def after_answer(state: DialogueState, facts: AnswerFacts, shown_series_ids: Sequence[str]) -> DialogueState:
    """Return the state that the next turn starts from; `shown_series_ids` in the order of the answer."""
    shown = _new_to_the_talk(facts, shown_series_ids)
    changes: dict[str, object] = {"turn_count": state.turn_count + 1}
    if shown:
        changes["shown_series"] = tuple(dict.fromkeys((*state.shown_series, *shown)))[-MAX_SHOWN:]
        if facts.intent is Intent.RECOMMENDATION or len(shown) > 1:
            changes["listed_series"] = shown
    if facts.intent is Intent.RECOMMENDATION and shown:
        compared = facts.subjects and not facts.candidates
        changes["focus_series"] = shown if compared else shown[:1]
        changes["focus_volume"] = None
        changes["focus_products"] = ()
    elif facts.intent is Intent.PRODUCT_QUESTION and facts.subjects:
        changes["focus_series"] = tuple(item.series.series_id for item in facts.subjects)
        changes["focus_products"] = _asked_products(facts)
    elif facts.intent is Intent.PRODUCT_QUESTION and shown:
        changes["focus_series"] = shown[:1]
    if len(facts.orders) == 1:
        changes["focus_order_id"] = facts.orders[0].order_id
    return replace(state, **changes)  # type: ignore[arg-type]  # the keys are fields of the state


def _new_to_the_talk(facts: AnswerFacts, shown_series_ids: Sequence[str]) -> tuple[str, ...]:
    """Leave out the models of a taste, which an answer names ("if you liked Monster") but does not offer."""
    models = facts.constraints.like_series if facts.intent is Intent.RECOMMENDATION else ()
    return tuple(dict.fromkeys(one for one in shown_series_ids if one not in models))


def _recommending(reading: Reading, before: DialogueState) -> DialogueState:
    cues = set(reading.cues)
    instead = "instead" in reading.text.lower().split()
    if reading.follow_up:
        corrects = "correction" in cues and has_taste(reading.stated) and not _adds(reading.text)
        suggests_other = bool(reading.stated.genres) and _proposes(reading.text)
        base = before.constraints
        other_reader = bool(cues & {"other_reader", "own_reading"}) and has_taste(reading.stated)
        if "own_reading" in cues:
            base = replace(base, reader_age=None)
        if "correction" in cues and reading.mentioned_series and base.like_series:
            reading = replace(reading, stated=replace(reading.stated, like_series=reading.mentioned_series))
        constraints = merge(
            base, reading, replace_taste=instead or corrects or suggests_other or other_reader
        )
    elif before.topic in SHOPPING and "new_topic" not in cues:
        kept = lasting(before.constraints)
        kept = replace(kept, reader_age=None) if "own_reading" in cues else kept
        constraints = merge(kept, reading, replace_taste=True)
    else:
        constraints = merge(Constraints(), reading, replace_taste=True)
    compared = reading.mentioned_series if "compare" in cues else ()
    return replace(
        before,
        topic=Intent.RECOMMENDATION,
        constraints=constraints,
        aspects=reading.aspects,
        focus_series=compared or (before.focus_series if reading.follow_up else ()),
        focus_volume=None,
        focus_products=(),
        shown_series=before.shown_series if reading.follow_up else (),
    )


def _questioning(reading: Reading, before: DialogueState) -> DialogueState:
    subjects = reading.mentioned_series
    about_focus = reading.follow_up or (bool(reading.aspects) and before.topic in SHOPPING)
    if not subjects and about_focus and reading.unknown_title is None and not reading.stated.authors:
        subjects = before.focus_series or before.listed_series[:1]
    same = bool(subjects) and subjects == before.focus_series
    other_edition = reading.stated.kind in _BUNDLES
    volume = (
        reading.volumes[0]
        if reading.volumes
        else (before.focus_volume if same and not other_edition else None)
    )
    aspects = reading.aspects
    if reading.follow_up and not aspects and before.topic is Intent.PRODUCT_QUESTION:
        aspects = before.aspects
    return replace(
        before,
        topic=Intent.PRODUCT_QUESTION,
        aspects=aspects,
        focus_series=subjects,
        focus_volume=volume,
        focus_products=reading.product_ids
        or (before.focus_products if same and not reading.volumes and not other_edition else ()),
    )


def _proposes(text: str) -> bool:
    lowered = text.lower().lstrip(" ,.")
    return any(
        phrase in lowered for phrase in ("what about", "how about", "rather", "switch to", "change to")
    )


def _adds(text: str) -> bool:
    words = set(text.lower().replace(",", " ").split())
    return bool(words & {"also", "too", "fine", "ok", "okay", "bit", "some", "more", "and", "plus"})


def _asked_products(facts: AnswerFacts) -> tuple[str, ...]:
    if len(facts.subjects) != 1 or not facts.subjects[0].products:
        return ()
    reading = facts.reading
    narrowed = reading.volumes or reading.stated.kind or reading.stated.format or reading.state.focus_products
    return (facts.subjects[0].products[0].product_id,) if narrowed else ()
