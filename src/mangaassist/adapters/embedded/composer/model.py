"""`GroundedComposer`: a text model that needs no network and states nothing but its facts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from mangaassist.adapters.embedded.composer.comparison import compare
from mangaassist.adapters.embedded.composer.draft import Draft
from mangaassist.adapters.embedded.composer.orders import answer_return, track
from mangaassist.adapters.embedded.composer.policy import answer_from_articles, help_at_checkout
from mangaassist.adapters.embedded.composer.product import answer_product_question
from mangaassist.adapters.embedded.composer.promotions import answer_promotion
from mangaassist.adapters.embedded.composer.recommendation import recommend
from mangaassist.adapters.embedded.composer.smalltalk import chat, decline, hand_over
from mangaassist.adapters.embedded.composer.voice import Voice
from mangaassist.domain.errors import DependencyRejectedError
from mangaassist.domain.generation import (
    AnswerLimits,
    GenerationEvent,
    GenerationFinished,
    GenerationRequest,
    TextDelta,
)
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent
from mangaassist.domain.token_estimates import estimated_usage
from mangaassist.domain.wording import stable_choice

MODEL_ID: Final = "grounded-composer-1"
_WORDS_PER_TOKEN: Final = 0.75
_WORD: Final = re.compile(r"\s*\S+")
_PIECE_WORDS: Final = (3, 4, 5, 6)

Writer = Callable[[AnswerFacts, Voice], Draft]


def _recommend_or_compare(facts: AnswerFacts, voice: Voice) -> Draft:
    liked = facts.constraints.like_series
    asked_about = [item for item in facts.subjects if item.series.series_id not in liked]
    asks = "compare" in facts.reading.aspects or len(asked_about) > 1
    wants_comparison = asks and len(facts.subjects) > 1 and voice.limits.max_titles > 1
    return compare(facts, voice) if wants_comparison else recommend(facts, voice)


WRITERS: Final[Mapping[Intent, Writer]] = {
    Intent.RECOMMENDATION: _recommend_or_compare,
    Intent.PRODUCT_QUESTION: answer_product_question,
    Intent.FAQ: answer_from_articles,
    Intent.ORDER_TRACKING: track,
    Intent.PROMOTION: answer_promotion,
    Intent.CHECKOUT_HELP: help_at_checkout,
    Intent.RETURN_REQUEST: answer_return,
    Intent.CHITCHAT: chat,
    Intent.ESCALATION: hand_over,
    Intent.OUT_OF_SCOPE: decline,
}
_APOLOGY = "I'm sorry for the trouble."


def compose(facts: AnswerFacts, limits: AnswerLimits) -> str:
    """Return the answer to the question in the facts; the same facts give the same text."""
    voice = Voice.of(facts, limits)
    draft = WRITERS[facts.intent](facts, voice)
    max_words = max(1, limits.max_words)
    if limits.tone != "apologetic" or facts.intent is Intent.ESCALATION:
        return draft.fitted(max_words=max_words, lightest=voice.lightest)
    room = max_words - len(_APOLOGY.split())
    if room < 1:
        return draft.fitted(max_words=max_words, lightest=voice.lightest)
    return f"{_APOLOGY} {draft.fitted(max_words=room, lightest=voice.lightest)}"


class GroundedComposer:
    """Implements `ports.text_models.TextModel`; sampling parameters other than the length are ignored."""

    @property
    def provider(self) -> str:
        """Short name of the provider."""
        return "embedded"

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        """Yield the answer in groups of a few words; raise `DependencyRejectedError` without facts."""
        if request.facts is None:
            raise DependencyRejectedError(f"{MODEL_ID} answers from typed facts and got none")
        by_tokens = max(1, int(request.parameters.max_tokens * _WORDS_PER_TOKEN))
        limits = replace(request.limits, max_words=min(request.limits.max_words, by_tokens))
        text = compose(request.facts, limits)
        for piece in pieces_of(text):
            yield TextDelta(text=piece)
        yield GenerationFinished(
            stop_reason="end_turn",
            usage=estimated_usage(request, output_characters=len(text)),
            model_id=request.model_id,
            provider=self.provider,
        )

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def pieces_of(text: str) -> Iterator[str]:
    """Split a text into pieces of three to six words that join to the same text."""
    words = _WORD.findall(text)
    start = 0
    while start < len(words):
        size = _PIECE_WORDS[stable_choice(words[start], len(_PIECE_WORDS))]
        yield "".join(words[start : start + size])
        start += size
