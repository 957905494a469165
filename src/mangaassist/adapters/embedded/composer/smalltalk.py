"""Greetings, thanks, upset shoppers, and questions that are not the shop's."""

from __future__ import annotations

import re

from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.wording import listed

_THANKS = re.compile(r"\b(?:thanks?|thank you|thx|ty|arigatou?|cheers|appreciate)\b", re.IGNORECASE)
_GOODBYE = re.compile(
    r"\b(?:bye|goodbye|good ?night|see you|cya|later|sayonara|that'?s (?:all|it))\b", re.IGNORECASE
)
_WHO = re.compile(
    r"\b(?:who|what) (?:are|r) (?:you|u)\b|\b(?:bot|robot|human|real|ai|program|machine)\b", re.IGNORECASE
)
_ABILITIES = re.compile(
    r"\b(?:what can (?:you|u)|can (?:you|u) help|help me|how do (?:you|u) work|purpose)\b", re.IGNORECASE
)
WHAT_I_CAN_DO = (
    "I can find and compare manga, check prices and stock, look up your orders, "
    "and explain offers, delivery and returns"
)


def chat(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return a short, friendly reply that leads back to the books."""
    draft = Draft()
    text = facts.reading.text
    if _THANKS.search(text):
        draft.say(voice.pick("thanks", "You're very welcome.", "My pleasure.", "Any time."))
        draft.say(voice.pick("on", "Happy reading!", "Enjoy the books."), Weight.PLEASANTRY)
    elif _GOODBYE.search(text):
        draft.say(
            voice.pick(
                "bye", "Goodbye, and happy reading.", "See you soon. May your next volume be a good one."
            )
        )
    elif _WHO.search(text):
        draft.say("I'm the shop's assistant: a program, but a well-read one.")
        draft.say(f"{WHAT_I_CAN_DO}.", Weight.SUPPORT)
    elif _ABILITIES.search(text):
        draft.say(f"Gladly. {WHAT_I_CAN_DO}.")
    else:
        name = f", {facts.customer.name.split(' ', 1)[0]}" if facts.customer else ""
        draft.say(voice.pick("hello", f"Hello{name}, good to have you here.", f"Welcome{name}."))
        draft.say(
            voice.pick(
                "ask",
                "Are you after something new to read, or a particular title?",
                "Tell me a series you loved and I'll find you the next one.",
            ),
            Weight.SUPPORT,
        )
    return draft


def hand_over(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return an apology, the way to a person, and a summary that spares repeating everything."""
    draft = Draft()
    draft.say(
        voice.pick(
            "sorry",
            "I'm sorry this has gone wrong.",
            "I understand, and I'm sorry.",
            "I hear you, and I'm sorry.",
        )
    )
    draft.say("A person should take it from here, and you are free to ask for one at any time.")
    found = [
        passage for passage in facts.passages if re.search(r"person|complaint", passage.title, re.IGNORECASE)
    ]
    if found:
        draft.say(f"Our page “{found[0].title}” has the hours and the addresses.", Weight.SUPPORT)
    draft.new_paragraph()
    draft.say(f"{summary(facts)}", Weight.SUPPORT)
    return draft


def summary(facts: AnswerFacts) -> str:
    """Return what the conversation was about, for whoever takes over."""
    matters = [f"order {order.order_id}" for order in facts.orders[:2]]
    matters += [
        f"order {order_id}" for order_id in facts.reading.order_ids if f"order {order_id}" not in matters
    ]
    matters += [item.series.title for item in facts.subjects[:2]]
    about = listed(matters) if matters else "no particular order or book yet"
    return f"For the hand-over: this is about {about}."


def decline(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return a plain boundary and what can be done instead."""
    draft = Draft()
    draft.say(
        voice.pick(
            "boundary",
            "That is outside what I know: I only look after this manga shop.",
            "I'm afraid I can't help with that one; manga is my whole world.",
            "That's beyond me, I'm sorry. I only know about this shop and its books.",
        )
    )
    draft.say(f"{WHAT_I_CAN_DO}.", Weight.SUPPORT)
    return draft
