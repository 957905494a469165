"""Reads a message in the light of its conversation, and settles topic and state once the intent is known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from mangaassist.domain.chat import PageContext
from mangaassist.domain.dialogue import Aspect, Constraints, Cue, DialogueState, Reading
from mangaassist.domain.intents import Intent, IntentDecision
from mangaassist.ports.sessions import SessionContext
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.dialogue.merging import has_anything
from mangaassist.serving.dialogue.message import Message, MessageParser
from mangaassist.serving.dialogue.referents import Referents, bound_for, find_referents
from mangaassist.serving.dialogue.resolution import TextResolver
from mangaassist.serving.dialogue.state_changes import next_state
from mangaassist.serving.dialogue.topic import final_intent

SHORT_MESSAGE_WORDS: Final = 5
ELLIPTICAL_WORDS: Final = 9
DIALOGUE_CONFIDENCE: Final = 0.9  # of an intent that the conversation decided, not the classifier

_LEANING: Final[frozenset[Cue]] = frozenset(
    {"pronoun", "ordinal", "plural", "comparative", "another", "refusal", "correction", "back_to_topic"}
)


class DialogueReader:
    """Understands messages over one catalogue; stateless between calls, safe to share.

    `texts` are the store's articles, whose words are ordinary language. `renew` takes up a changed catalogue.
    """

    def __init__(self, catalog: Catalog, *, texts: Iterable[str] = ()) -> None:
        self._catalog = catalog
        self._texts = tuple(texts)
        self._parser = MessageParser(catalog.all_series(), self._texts)
        self._resolver = TextResolver(self._title_of)
        self._similar = re.compile(r"\b(?:similar|alike|comparable)\b")
        self._bare_number = re.compile(
            r"\W*(?:and|or|what about|how about|then)?\s*(?:number |no\.? ?)?(\d{1,3})(?: too)?\W*"
        )

    def renew(self) -> None:
        """Learn the catalogue anew, after an import; tenths of a second, so call it off the loop."""
        self._parser = MessageParser(self._catalog.all_series(), self._texts)

    def read(
        self, message: str, session: SessionContext, page_context: PageContext, now: datetime
    ) -> Reading:
        """Return the message with its references resolved; never raises, whatever the text.

        The reading's state is still that of the session: `settle` moves it on.
        """
        state = session.state
        page = self._catalog.product(page_context.asin) if page_context.asin else None
        in_talk = {*state.listed_series, *state.focus_series, *((page.series_id,) if page else ())}
        parsed = self._parser.parse(message, in_talk=in_talk, this_year=now.year)
        referents = find_referents(parsed.references, state, page, self._catalog)
        follow_up = _leans(parsed, state, referents)
        stated = self._stated(parsed, referents, state)
        named = self._named(parsed, referents, stated)
        if parsed.named:
            referents = Referents(volume=referents.volume, product_ids=referents.product_ids)
        reading = Reading(
            text=message,
            resolved_text=message,
            follow_up=follow_up,
            state=state,
            mentioned_series=named,
            aspects=_aspects(parsed),
            volumes=self._volumes(parsed, referents, state),
            order_ids=parsed.references.order_ids,
            product_ids=self._products_named(parsed, referents),
            ordinal=parsed.references.ordinals[0] if parsed.references.ordinals else None,
            unknown_title=parsed.unknown_title if not named else None,
            stated=stated,
            withdrawn=parsed.tastes.withdrawn,
            cues=tuple(sorted(parsed.references.cues)),
        )
        return replace(reading, resolved_text=self._resolver.with_titles(message, referents.series_ids))

    def settle(
        self, reading: Reading, decision: IntentDecision, session: SessionContext
    ) -> tuple[IntentDecision, Reading]:
        """Return the final intent, and the reading with the state that follows from it."""
        intent = final_intent(reading, decision, session.state)
        if intent is not decision.intent:
            decision = replace(
                decision,
                intent=intent,
                confidence=DIALOGUE_CONFIDENCE,
                classification_path="rule",
                stage="rule:dialogue",
                runner_up=decision.intent,
            )
        before = session.state
        reading = replace(reading, state=next_state(reading, intent, before))
        if intent is Intent.PRODUCT_QUESTION and reading.state.focus_series and not reading.mentioned_series:
            reading = replace(reading, follow_up=True)
        previous_text = session.turns[-1].user_text if session.turns and before.topic is intent else None
        resolved = self._resolver.complete(reading, intent=intent, previous_text=previous_text)
        return decision, replace(reading, resolved_text=resolved)

    def _named(self, parsed: Message, referents: Referents, stated: Constraints) -> tuple[str, ...]:
        if parsed.named:
            both = "compare" in parsed.references.cues and bool(
                parsed.references.cues & {"pronoun", "ordinal"}
            )
            return tuple(dict.fromkeys((*referents.series_ids, *parsed.named))) if both else parsed.named
        from_ids = tuple(
            product.series_id
            for one in parsed.references.product_ids
            if (product := self._catalog.product(one))
        )
        if from_ids:
            return tuple(dict.fromkeys(from_ids))
        used_for_taste = {*stated.like_series, *stated.not_series}
        return tuple(one for one in referents.series_ids if one not in used_for_taste)

    def _stated(self, parsed: Message, referents: Referents, state: DialogueState) -> Constraints:
        stated = parsed.constraints()
        references = parsed.references
        pointed = referents.series_ids
        if pointed and not parsed.named and not parsed.liked and self._likes_reference(parsed):
            stated = replace(stated, like_series=pointed)
            pointed = ()
        if not (pointed or parsed.named or parsed.liked) and self._similar.search(parsed.text):
            stated = replace(stated, like_series=state.focus_series)
        if (
            "refusal" in references.cues
            and not parsed.named
            and not parsed.refused
            and not stated.like_series
        ):
            refused = pointed or state.focus_series or state.listed_series
            stated = replace(stated, not_series=tuple(dict.fromkeys((*stated.not_series, *refused))))
        if references.direction is not None:
            against = stated.like_series or pointed or state.listed_series or state.focus_series
            bound = bound_for(references.direction, against, self._catalog)
            if bound is not None:
                field, value = bound
                stated = replace(stated, **{field: value})  # type: ignore[arg-type]  # bound_for names number fields
        return stated

    def _likes_reference(self, parsed: Message) -> bool:
        span = parsed.references.span
        if span is not None:
            place = span[0]
            head = parsed.masked[place : span[1]]
            return head.startswith("like ") or self._parser.likes_before(parsed.masked, place)
        for word in ("it", "that", "this", "those", "these", "them"):
            place = parsed.masked.find(f"like {word}")
            if place >= 0 and "do you like" not in parsed.masked:
                return not any(
                    parsed.masked[:place].endswith(ending)
                    for ending in ("look ", "looks ", "don't ", "dont ")
                )
        return False

    def _volumes(self, parsed: Message, referents: Referents, state: DialogueState) -> tuple[int, ...]:
        if parsed.quantities.volumes:
            return parsed.quantities.volumes
        if referents.volume is not None:
            return (referents.volume,)
        bare = self._bare_number.fullmatch(parsed.masked) if state.focus_volume is not None else None
        return (int(bare[1]),) if bare else ()

    def _products_named(self, parsed: Message, referents: Referents) -> tuple[str, ...]:
        return parsed.references.product_ids or (() if parsed.named else referents.product_ids)

    def _title_of(self, series_id: str) -> str | None:
        series = self._catalog.series(series_id)
        return series.title if series is not None else None


def _leans(parsed: Message, state: DialogueState, referents: Referents) -> bool:
    """Tell whether the message cannot be understood, or would be misunderstood, without the turns before."""
    cues = parsed.references.cues
    if state.turn_count == 0 and not state.listed_series and not state.focus_series:
        return False
    if "new_topic" in cues:
        return False
    words = len(parsed.tokens)
    whole = bool(parsed.named or parsed.liked or parsed.unknown_title)
    if parsed.refused and not whole:
        return True
    if whole and not cues & {"correction", "elliptical", "compare", "refusal"}:
        return False
    if cues & _LEANING:
        return words <= 25 or bool(referents.series_ids)
    if "elliptical" in cues and words <= ELLIPTICAL_WORDS:
        return not ("request" in cues and whole and "correction" not in cues)
    says_something = (
        has_anything(parsed.constraints())
        or parsed.asked.aspects
        or parsed.quantities.volumes
        or parsed.tastes.withdrawn
    )
    return words <= SHORT_MESSAGE_WORDS and bool(says_something) and not whole and "request" not in cues


def _aspects(parsed: Message) -> tuple[Aspect, ...]:
    aspects = list(parsed.asked.aspects)
    if "compare" in parsed.references.cues and "compare" not in aspects:
        aspects.append("compare")
    return tuple(aspects)
