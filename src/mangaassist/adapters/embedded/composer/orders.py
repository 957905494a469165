"""Where an order stands, and what can be returned."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.passages import body_of, extract
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.order_contents import contents
from mangaassist.domain.store import Order
from mangaassist.domain.wording import day, listed, money

_MOST_ORDERS = 3
_FRAME_WORDS = 45
_BY_STEPS = re.compile(
    r"\b(?:how (?:do|can|to)|start|cancel\w*|damag\w*|torn|bent|broken?|crushed|dent|dented|scuffed|soaked|"
    r"wet|wrong|missing|misprint\w*|blurry|upside)\b",
    re.IGNORECASE,
)
_RETURN_PERIOD = re.compile(r"(\d+) days from the day of delivery")
# states whose note only repeats what was said
_PLAIN_SAILING = frozenset(("placed", "paid", "preparing", "shipped", "out_for_delivery"))
_CANCELLABLE = frozenset(("placed", "paid", "backordered", "preorder"))
_STATES = {
    "placed": "is placed and being checked",
    "paid": "is paid and waiting to be packed",
    "preparing": "is being packed",
    "backordered": "is backordered: we are waiting for new stock",
    "preorder": "is a preorder and reserved for you",
    "shipped": "is on its way",
    "out_for_delivery": "is out for delivery",
    "delivered": "has been delivered",
    "delayed": "is delayed",
    "lost": "is lost, I am sorry to say: the carrier cannot find it",
    "cancelled": "is cancelled",
    "return_requested": "has a return request open",
    "return_in_transit": "is on its way back to us",
    "returned": "is back with us and being checked",
    "refunded": "has been refunded",
    "partially_refunded": "has been refunded in part",
    "payment_failed": "is waiting for a payment that did not go through",
}


def track(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return state, contents, carrier and dates of the orders asked about."""
    draft = Draft()
    if _cannot_look(draft, facts):
        return draft
    for order in facts.orders[:_MOST_ORDERS]:
        draft.say(_where(order))
        draft.say(_journey(order, facts.now), Weight.SUPPORT)
        draft.say(_dates(order, facts.now), Weight.SUPPORT)
        draft.say(None if order.state in _PLAIN_SAILING else _note(order), Weight.DETAIL)
        draft.new_paragraph()
    if len(facts.orders) > _MOST_ORDERS:
        draft.say("There are more; give me an order number for one of the others.", Weight.DETAIL)
    return draft


def answer_return(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return what the rules say, applied to the order where one is known."""
    draft = Draft()
    order = facts.orders[0] if facts.orders else None
    if order is not None:
        draft.say(_return_standing(facts, order))
        if order.state != "delivered" and order.state not in _PLAIN_SAILING:
            draft.say(_note(order), Weight.DETAIL)
        if late := _after_the_period(facts, order):
            draft.say(late, Weight.SUPPORT)
            return draft
    elif facts.reading.order_ids and facts.signed_in:
        _unknown_order(draft, facts)
    found = extract(
        facts.reading.resolved_text,
        facts.passages,
        max_words=max(20, voice.limits.max_words - _FRAME_WORDS),
        max_sentences=4 if order is None else 3,
        steps=_BY_STEPS.search(facts.reading.text) is not None,
    )
    if found is not None:
        draft.new_paragraph()
        draft.say(found.text)
        draft.say(f"The full rules are under “{found.passage.title}” in our help pages.", Weight.DETAIL)
    elif order is None:
        draft.say("I can't find the rule for that just now, and I would rather not guess.")
    if not facts.signed_in:
        draft.new_paragraph()
        draft.say("Sign in and I can check the order itself.", Weight.PLEASANTRY)
    return draft


def _cannot_look(draft: Draft, facts: AnswerFacts) -> bool:
    """Say why no order can be shown; tell whether that was so."""
    if not facts.signed_in:
        draft.say("I can only look up orders for the person they belong to, so please sign in first.")
        draft.say("Then ask me again and I will tell you where your parcel is.", Weight.DETAIL)
    elif facts.orders:
        return False
    elif facts.service_errors:
        draft.say(
            "I can't reach our order records at the moment, so I don't want to tell you anything stale."
        )
        draft.say("Please try again in a few minutes.", Weight.DETAIL)
    elif facts.reading.order_ids:
        _unknown_order(draft, facts)
    else:
        draft.say("I don't see any order in your account.")
        draft.say(
            "If you ordered as a guest or with another email address, it won't show up here.", Weight.DETAIL
        )
    return True


def _unknown_order(draft: Draft, facts: AnswerFacts) -> None:
    draft.say(f"I can't find order {listed(facts.reading.order_ids)} in your account.")
    draft.say("Please check the number; it is in the confirmation email.", Weight.DETAIL)


def _where(order: Order) -> str:
    what = f" ({contents(order)})" if order.items else ""
    return f"Order {order.order_id}{what} {_STATES[order.state]}."


def _journey(order: Order, now: datetime) -> str | None:
    if order.state not in ("shipped", "out_for_delivery", "delayed", "lost", "return_in_transit"):
        return None
    if order.carrier and order.tracking_number:
        return f"The carrier is {order.carrier}, tracking number {order.tracking_number}."
    return (
        f"The carrier is {order.carrier}; I have no tracking number yet."
        if order.carrier
        else "I have no tracking number for it yet."
    )


def _dates(order: Order, now: datetime) -> str | None:
    if order.state == "delivered":
        return f"It arrived on {day(order.delivered_at, now=now)}." if order.delivered_at else None
    if order.state in ("refunded", "partially_refunded", "cancelled"):
        return f"The refund was {money(order.refund_usd)}." if order.refund_usd is not None else None
    if order.state in ("return_requested", "return_in_transit", "returned", "lost", "payment_failed"):
        return None
    if order.estimated_delivery is None:
        return "There is no delivery date yet."
    verb = "The new date is" if order.state == "delayed" else "It should reach you by"
    late = (
        " That day has passed, so something is holding it up."
        if order.estimated_delivery < now.date()
        else ""
    )
    return f"{verb} {day(order.estimated_delivery, now=now)}.{late}"


def _note(order: Order) -> str | None:
    return f"The latest note on it: {order.status_note}" if order.status_note else None


def _return_standing(facts: AnswerFacts, order: Order) -> str:
    what = f"Order {order.order_id}" + (f" ({contents(order)})" if order.items else "")
    if order.state in _CANCELLABLE:
        return f"{what} {_STATES[order.state]}, so it has not left us yet."
    if order.state != "delivered":
        return f"{what} {_STATES[order.state]}."
    if order.delivered_at is None:
        return f"{what} has been delivered, but I don't have the day, so I can't tell its last return day."
    arrived = f"{what} arrived on {day(order.delivered_at, now=facts.now)}"
    last = _last_return_day(facts, order.delivered_at.date())
    if last is None:
        return f"{arrived}."
    if facts.now.date() <= last:
        return f"{arrived}, so you can ask for a return until {day(last, now=facts.now)}."
    return f"{arrived}, so the time to change your mind ended on {day(last, now=facts.now)}."


def _after_the_period(facts: AnswerFacts, order: Order) -> str | None:
    """Return what the rules say once the time for a return is over; None while it is not."""
    if order.state != "delivered" or order.delivered_at is None:
        return None
    last = _last_return_day(facts, order.delivered_at.date())
    if last is None or facts.now.date() <= last:
        return None
    texts = [
        text for passage in facts.passages for text in body_of(passage) if _RETURN_PERIOD.search(passage.text)
    ]
    return next((text for text in texts if text.startswith("After ")), None)


def _last_return_day(facts: AnswerFacts, delivered: date) -> date | None:
    """Return the last day for a return by the rule in the passages; None when they state none."""
    for passage in facts.passages:
        for sentence in body_of(passage):
            if match := _RETURN_PERIOD.search(sentence):
                return delivered + timedelta(days=int(match[1]))
    return None
