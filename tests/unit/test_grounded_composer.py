"""The embedded composer as a text model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.adapters.embedded.composer.draft import Draft, Weight
from mangaassist.adapters.embedded.composer.model import MODEL_ID, GroundedComposer, compose, pieces_of
from mangaassist.adapters.embedded.composer.passages import extract
from mangaassist.adapters.embedded.composer.phrasing import sentences
from mangaassist.domain.dialogue import Constraints
from mangaassist.domain.errors import DependencyRejectedError
from mangaassist.domain.generation import (
    AnswerLimits,
    GenerationFinished,
    GenerationRequest,
    Message,
    ModelParameters,
    TextDelta,
)
from mangaassist.domain.intents import Intent
from tests.support.composer_facts import facts, item, passages, volume


def _request(**changes: object) -> GenerationRequest:
    asked = facts(
        Intent.PRODUCT_QUESTION,
        "how much is monster 1",
        aspects=("price",),
        subjects=(item("monster", volume(1, 15.99, 3)),),
    )
    request = GenerationRequest(
        model_id=MODEL_ID, system="s" * 40, messages=(Message(role="user", text="u" * 40),), facts=asked
    )
    return replace(request, **changes)  # type: ignore[arg-type]  # the changes are written in the tests


async def test_the_stream_is_the_answer_in_pieces_and_ends_with_estimated_usage() -> None:
    events = [event async for event in GroundedComposer().stream(_request())]

    *deltas, finished = events
    assert all(isinstance(event, TextDelta) for event in deltas)
    text = "".join(event.text for event in deltas if isinstance(event, TextDelta))
    assert text == "Volume 1 of Monster is $15.99."
    assert isinstance(finished, GenerationFinished)
    assert (finished.provider, finished.stop_reason) == ("embedded", "end_turn")
    assert finished.usage.estimated
    assert finished.usage.input_tokens == 20
    assert finished.usage.output_tokens == 8


async def test_without_facts_the_call_is_refused() -> None:
    with pytest.raises(DependencyRejectedError, match="typed facts"):
        [event async for event in GroundedComposer().stream(_request(facts=None))]


async def test_the_token_limit_shortens_the_answer() -> None:
    request = _request(parameters=ModelParameters(max_tokens=4))

    events = [event async for event in GroundedComposer().stream(request)]

    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert len(text.split()) <= 3


@given(st.text(max_size=200))
def test_pieces_join_to_the_same_text(text: str) -> None:
    assert "".join(pieces_of(text)) == text.rstrip()


def test_the_same_question_is_worded_the_same_and_later_turns_may_differ() -> None:
    wordings = {compose(facts(Intent.CHITCHAT, "hello", turn=turn), AnswerLimits()) for turn in range(12)}

    assert len(wordings) > 1
    assert compose(facts(Intent.CHITCHAT, "hello"), AnswerLimits()) == compose(
        facts(Intent.CHITCHAT, "hello"), AnswerLimits()
    )


def test_the_lightest_sentences_go_first_when_words_run_out() -> None:
    draft = Draft()
    draft.say("This is the answer.", Weight.ANSWER)
    draft.say("A detail follows here.", Weight.DETAIL)
    draft.say("Shall I go on?", Weight.PLEASANTRY)

    assert draft.fitted(max_words=8) == "This is the answer. A detail follows here."
    assert draft.fitted(max_words=4) == "This is the answer."
    assert draft.fitted(max_words=2) == "This is…"


def test_a_brief_tone_leaves_out_details_and_pleasantries() -> None:
    asked = facts(Intent.CHITCHAT, "thanks")

    assert compose(asked, AnswerLimits(tone="brief")).count(".") == 1


def test_an_article_is_quoted_verbatim_and_in_its_order() -> None:
    found = extract(
        "how long is the return window", passages("returns-window", "free-shipping"), max_words=60
    )

    assert found is not None
    body = passages("returns-window")[0].text
    positions = [body.index(sentence) for sentence in found.sentences]
    assert positions == sorted(positions)
    assert "30 days" in found.text


def test_one_passage_answers_and_never_a_mixture() -> None:
    found = extract(
        "how much is delivery", passages("shipping-us-methods", "shipping-international"), max_words=90
    )

    assert found is not None
    assert all(sentence in found.passage.text for sentence in found.sentences)


def test_abbreviations_do_not_end_a_sentence() -> None:
    text = "Orders by 2 p.m. Pacific time leave the same day. Vol. 3 is late."

    assert sentences(text) == ["Orders by 2 p.m. Pacific time leave the same day.", "Vol. 3 is late."]


def test_a_book_above_the_readers_age_is_advised_against() -> None:
    asked = facts(
        Intent.PRODUCT_QUESTION,
        "ok for my son?",
        aspects=("age_rating",),
        wishes=Constraints(reader_age=12),
        subjects=(item("berserk"),),
    )

    assert compose(asked, AnswerLimits()) == "Berserk is rated 18+, so I would not give it to a 12-year-old."


def test_an_unknown_count_of_volumes_stays_unknown() -> None:
    asked = facts(
        Intent.PRODUCT_QUESTION,
        "how many volumes",
        aspects=("volumes",),
        subjects=(item("monster", volumes=None, status=None, stocked_volumes=None),),
    )

    assert compose(asked, AnswerLimits()) == "I don't know how many volumes Monster has."
