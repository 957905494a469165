"""How the store works, and help while paying: answers quoted from the store's own articles."""

from __future__ import annotations

from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.passages import CLOSE_ENOUGH, Extract, extract
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.store import Order

_FRAME_WORDS = 30


def answer_from_articles(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return the sentences that answer the question, with the article they come from."""
    draft = Draft()
    found = extract(
        facts.reading.resolved_text, facts.passages, max_words=max(20, voice.limits.max_words - _FRAME_WORDS)
    )
    if found is None:
        draft.say(
            voice.pick(
                "no rule",
                "I can't find that in our help pages, and I would rather not guess.",
                "Our help pages don't seem to cover that, so I won't make something up.",
            )
        )
        draft.say(
            "Ask me in other words, or say that you want a person and I will hand you over.", Weight.DETAIL
        )
        return draft
    quote(draft, voice, found)
    return draft


def quote(draft: Draft, voice: Voice, found: Extract) -> None:
    """Add an extract, honest about how closely it fits."""
    title = found.passage.title
    if found.coverage < CLOSE_ENOUGH:
        draft.say(f"I don't find a rule for exactly that. The nearest page is “{title}”:")
        draft.say(found.text)
        return
    draft.say(found.text)
    draft.say(
        voice.pick(
            "source",
            f"There is more on our help page “{title}”.",
            f"That is from our help page “{title}”.",
            f"The whole of it is under “{title}” in our help pages.",
        ),
        Weight.DETAIL,
    )


def help_at_checkout(facts: AnswerFacts, voice: Voice) -> Draft:
    """Return what to try, from the articles, and where an unpaid order stands."""
    draft = Draft()
    draft.say(
        voice.pick(
            "sympathy",
            "That is annoying right at the till; let's sort it out.",
            "Sorry that the last step is the one that sticks.",
        ),
        Weight.DETAIL,
    )
    unpaid = [order for order in facts.orders if order.state == "payment_failed"]
    for order in unpaid[:1]:
        draft.say(_unpaid(order), Weight.SUPPORT)
    found = extract(
        facts.reading.resolved_text,
        facts.passages,
        max_words=max(20, voice.limits.max_words - _FRAME_WORDS),
        max_sentences=5,
        steps=True,
    )
    if found is None or found.coverage < CLOSE_ENOUGH / 2:
        draft.say("I have no instructions for exactly this problem.")
    if found is not None:
        draft.say(found.text)
        draft.say(f"All of it is on our help page “{found.passage.title}”.", Weight.DETAIL)
    draft.new_paragraph()
    draft.say("If it still refuses, tell me the exact words on the screen.", Weight.PLEASANTRY)
    return draft


def _unpaid(order: Order) -> str:
    note = order.status_note or "The payment did not go through."
    if note.startswith("The "):
        note = f"the {note.removeprefix('The ')}"
    return f"Order {order.order_id} is waiting for its payment: {note}"
