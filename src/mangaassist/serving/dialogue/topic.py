"""The final intent: what the classifier says, corrected by the form of an obvious follow-up."""

from __future__ import annotations

from typing import Final

from mangaassist.domain.dialogue import DialogueState, Reading
from mangaassist.domain.intents import Intent, IntentDecision
from mangaassist.serving.dialogue.merging import has_anything, has_taste

SURE: Final = 0.8  # a classifier this confident is overruled only by the form of a follow-up
STRANGE: Final = 0.7  # this confident that a message is none of ours: only a real reference overrules
SHOPPING: Final = frozenset({Intent.RECOMMENDATION, Intent.PRODUCT_QUESTION})
SERVICE: Final = frozenset(
    {Intent.FAQ, Intent.ORDER_TRACKING, Intent.PROMOTION, Intent.CHECKOUT_HELP, Intent.RETURN_REQUEST}
)
_SMALL_TALK: Final = frozenset({Intent.CHITCHAT, Intent.OUT_OF_SCOPE})
_ABOUT_ORDERS: Final = frozenset(
    {Intent.ORDER_TRACKING, Intent.RETURN_REQUEST, Intent.CHECKOUT_HELP, Intent.ESCALATION, Intent.FAQ}
)
_REFERRING: Final = frozenset({"pronoun", "ordinal", "plural", "page"})
_QUESTION_VERBS: Final = frozenset({"is", "are", "does", "did", "was", "were", "has", "will"})
_POINTERS: Final = frozenset({"it", "they", "that", "those", "these", "this", "the", "both", "either"})
_OF_EDITIONS: Final = frozenset({"editions", "format", "language"})
_TALK_CUES: Final = frozenset(
    {
        "pronoun",
        "ordinal",
        "plural",
        "page",
        "comparative",
        "another",
        "refusal",
        "correction",
        "back_to_topic",
    }
)
_ASKING_FOR_MORE: Final = frozenset({"another", "refusal"})


def final_intent(reading: Reading, decision: IntentDecision, state: DialogueState) -> Intent:
    """Return the intent of the message in its conversation."""
    intent = decision.intent
    if decision.classification_path == "rule" or (intent is Intent.ESCALATION and decision.confidence >= 0.5):
        return intent
    if reading.order_ids:
        return intent if intent in _ABOUT_ORDERS else Intent.ORDER_TRACKING
    sure = decision.confidence >= SURE
    if intent is Intent.OUT_OF_SCOPE and decision.confidence >= STRANGE and not _leans_on_talk(reading):
        return intent
    if "general" in reading.cues:
        return _service_intent(reading, intent, state, sure=sure)
    if reading.follow_up and (state.topic in SHOPPING or state.listed_series or state.focus_series):
        form = follow_up_form(reading, state)
        if form is not None:
            return form
        if state.topic in SHOPPING and intent not in SHOPPING and not sure:
            return state.topic or intent
    if (
        reading.follow_up
        and not sure
        and state.topic in SERVICE
        and intent not in SERVICE
        and not has_anything(reading.stated)
    ):
        return state.topic or intent
    if sure and intent not in _SMALL_TALK:
        return intent
    return _first_sight(reading, intent, sure=sure)


def _service_intent(reading: Reading, intent: Intent, state: DialogueState, *, sure: bool) -> Intent:
    """Words such as "order" or "refund" leave it to the classifier; an unsure one keeps the topic."""
    inherits = reading.follow_up and not sure and state.topic in SERVICE and intent not in SERVICE
    return state.topic if inherits and state.topic is not None else intent


def _first_sight(reading: Reading, intent: Intent, *, sure: bool) -> Intent:
    """Help an unsure classifier with what the message names."""
    if reading.stated.like_series and intent is not Intent.PRODUCT_QUESTION:
        return Intent.RECOMMENDATION
    names_product = bool(reading.mentioned_series or reading.product_ids or reading.unknown_title)
    if names_product and reading.aspects and intent not in SHOPPING and not sure:
        return Intent.PRODUCT_QUESTION
    asks_about_it = names_product and set(reading.aspects) - {"compare", "cheapest"}
    if asks_about_it and intent is Intent.RECOMMENDATION and not sure and _opens_with_verb(reading.text):
        return Intent.PRODUCT_QUESTION
    if "request" in reading.cues and has_taste(reading.stated) and intent in _SMALL_TALK and not sure:
        return Intent.RECOMMENDATION
    return intent


def follow_up_form(reading: Reading, state: DialogueState) -> Intent | None:
    """Return the intent that the form of a shopping follow-up shows, or None when it shows neither."""
    cues, stated = set(reading.cues), reading.stated
    refers = bool(cues & _REFERRING) or bool(reading.mentioned_series)
    pointed_at = bool(state.focus_series or state.listed_series) or bool(reading.mentioned_series)
    asks_for_more = bool(cues & _ASKING_FOR_MORE) and (not refers or not _asks_of_product(reading))
    if stated.like_series or (asks_for_more and not set(reading.aspects) & _OF_EDITIONS):
        return Intent.RECOMMENDATION
    if reading.volumes and pointed_at:
        return Intent.PRODUCT_QUESTION
    if "correction" in cues and reading.mentioned_series:
        return state.topic if state.topic in SHOPPING else None
    if "comparative" in cues and not cues & {"ordinal", "compare"}:
        about_edition = state.topic is Intent.PRODUCT_QUESTION and "cheapest" in reading.aspects
        return Intent.PRODUCT_QUESTION if about_edition else Intent.RECOMMENDATION
    if (stated.kind or stated.format or stated.language) and pointed_at and not has_taste(stated):
        several = state.topic is Intent.RECOMMENDATION and len(state.listed_series) > 1
        return (
            Intent.RECOMMENDATION
            if several and not refers and stated.kind is None
            else Intent.PRODUCT_QUESTION
        )
    if refers and pointed_at and (_asks_of_product(reading) or "compare" in cues):
        return Intent.PRODUCT_QUESTION
    if (
        refers
        and pointed_at
        and (stated.reader_age is not None or stated.status or stated.genres)
        and reading.aspects
    ):
        return Intent.PRODUCT_QUESTION
    narrows_list = state.topic is Intent.RECOMMENDATION and (stated.status or stated.anime is not None)
    if refers and pointed_at and opens_as_question(reading.text):
        return Intent.PRODUCT_QUESTION
    if has_taste(stated) or reading.withdrawn or narrows_list or _refines(reading):
        return Intent.RECOMMENDATION
    if reading.aspects and pointed_at:
        return Intent.PRODUCT_QUESTION
    if (reading.mentioned_series or "ordinal" in cues) and "request" not in cues:
        return Intent.PRODUCT_QUESTION
    return None


def _opens_with_verb(text: str) -> bool:
    return text.lower().split(maxsplit=1)[0] in _QUESTION_VERBS if text.strip() else False


def _leans_on_talk(reading: Reading) -> bool:
    """Whether the message names or points at something of the conversation or the catalogue."""
    return bool(set(reading.cues) & _TALK_CUES or reading.mentioned_series or reading.volumes)


def opens_as_question(text: str) -> bool:
    """Tell whether a text begins by asking something of what is pointed at: "are they scary?"."""
    words = [word for word in text.lower().split() if word.strip(",.") not in ("and", "so", "ok", "but")]
    return len(words) > 1 and words[0] in _QUESTION_VERBS and words[1].strip("?,.") in _POINTERS


def _asks_of_product(reading: Reading) -> bool:
    return any(aspect not in ("cheapest", "similar") for aspect in reading.aspects) or (
        reading.aspects == ("cheapest",) and "comparative" not in reading.cues
    )


def _refines(reading: Reading) -> bool:
    stated = reading.stated
    return has_anything(stated) and not (reading.aspects and not (stated.reader_age or stated.max_price_usd))
