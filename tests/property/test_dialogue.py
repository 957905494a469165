"""Whatever is typed: reading never fails, numbers survive, corrections replace, filters follow."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangaassist.domain.bundle import Route
from mangaassist.domain.chat import PageContext
from mangaassist.domain.dialogue import Constraints, DialogueState, Reading
from mangaassist.domain.intents import Intent
from mangaassist.ports.sessions import SessionContext
from mangaassist.serving.dialogue.merging import merge
from mangaassist.serving.dialogue.quantities import QuantityParser
from mangaassist.serving.dialogue.retrieval_plan import constraint_filters, plan_retrieval
from mangaassist.serving.dialogue.text import fold
from mangaassist.serving.dialogue.typos import TypoIndex, edit_distance
from tests.support.conversations import decided
from tests.support.demo_store import NOW, demo_store

WORDS = st.sampled_from(
    (
        "the second one", "it", "that", "berserk", "monster", "naruto", "vol", "3", "under $20", "not",
        "cheaper", "like", "for a 10 year old", "and", "or", "forget", "horror", "romance", "in hardcover?",
        "box set", "last", "both", "actually", "no", "i meant", "different topic:", "?", ",", ".", "'", '"',
        "#", "who wrote", "is finished", "114-5550101-2000001", "x", "ō", "×", "『", "\ud800",
    )
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=st.characters(exclude_categories=()), max_size=60),
    st.lists(WORDS, max_size=25).map(" ".join),
)
STATES = st.builds(
    DialogueState,
    topic=st.sampled_from([None, *Intent]),
    listed_series=st.lists(st.sampled_from(["berserk", "monster", "gone"]), max_size=3).map(tuple),
    focus_series=st.lists(st.sampled_from(["naruto", "gone"]), max_size=2).map(tuple),
    focus_volume=st.none() | st.integers(1, 99),
    turn_count=st.integers(0, 3),
)


def _session(state: DialogueState) -> SessionContext:
    return SessionContext(session_id="s1", owner="visitor:1", state=state)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, state=STATES, intent=st.sampled_from(list(Intent)), confidence=st.floats(0, 1))
def test_any_text_in_any_state_is_read_and_settled(
    text: str, state: DialogueState, intent: Intent, confidence: float
) -> None:
    reader = demo_store().reader
    reading = reader.read(text, _session(state), PageContext(asin="nothing"), NOW)
    decision, settled = reader.settle(reading, decided(intent, confidence), _session(state))
    assert settled.text == text
    assert decision.intent in Intent
    assert set(settled.mentioned_series) <= {one.series_id for one in demo_store().catalog.all_series()} | {
        "gone"
    }


@given(text=st.text(max_size=100))
def test_folding_keeps_every_character_in_its_place(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(
    amount=st.integers(5, 500),
    form=st.sampled_from(["under ${}", "my budget is {}", "max {} bucks", "{} dollar budget"]),
)
def test_a_price_limit_is_read_back(amount: int, form: str) -> None:
    read = QuantityParser().parse(form.format(amount), this_year=2026)
    assert (read.max_price_usd, read.volumes) == (amount, ())


@given(
    low=st.integers(1, 50),
    more=st.integers(1, 50),
    form=st.sampled_from(["${}-{}", "between {} and {} dollars"]),
)
def test_a_price_range_is_read_back(low: int, more: int, form: str) -> None:
    read = QuantityParser().parse(form.format(low, low + more), this_year=2026)
    assert (read.min_price_usd, read.max_price_usd) == (low, low + more)


@given(
    age=st.integers(2, 17),
    form=st.sampled_from(
        ["for a {}-year-old", "my {} yo niece", "he is {}", "aged {}", "for my {} year old son"]
    ),
)
def test_an_age_is_read_back_and_is_neither_price_nor_volume(age: int, form: str) -> None:
    read = QuantityParser().parse(form.format(age), this_year=2026)
    assert (read.reader_age, read.max_price_usd, read.volumes) == (age, None, ())


@given(
    volume=st.integers(1, 120), form=st.sampled_from(["vol {}", "volume {}", "vol. {}", "#{}", "tankobon {}"])
)
def test_a_volume_is_read_back(volume: int, form: str) -> None:
    assert QuantityParser().parse(form.format(volume), this_year=2026).volumes == (volume,)


@given(first=st.integers(1, 100), count=st.integers(1, 20))
def test_a_volume_range_is_every_volume_in_it(first: int, count: int) -> None:
    read = QuantityParser().parse(f"volumes {first}-{first + count}", this_year=2026)
    assert read.volumes == tuple(range(first, first + count + 1))


CONSTRAINTS = st.builds(
    Constraints,
    genres=st.lists(st.sampled_from(["horror", "romance", "comedy"]), unique=True, max_size=2).map(tuple),
    moods=st.lists(st.sampled_from(["dark", "cozy"]), unique=True, max_size=2).map(tuple),
    exclude_genres=st.lists(st.sampled_from(["action", "sports"]), unique=True, max_size=2).map(tuple),
    max_price_usd=st.none() | st.integers(5, 50).map(float),
    reader_age=st.none() | st.integers(3, 60),
    status=st.none() | st.sampled_from(["finished", "ongoing"]),
    max_volumes=st.none() | st.integers(1, 40),
    year_from=st.none() | st.integers(1960, 2026),
)


def _reading(stated: Constraints, withdrawn: tuple[str, ...] = ()) -> Reading:
    return Reading(
        text="", resolved_text="", follow_up=True, state=DialogueState(), stated=stated, withdrawn=withdrawn
    )


@given(base=CONSTRAINTS, stated=CONSTRAINTS)
def test_what_is_said_later_replaces_what_was_said_before(base: Constraints, stated: Constraints) -> None:
    merged = merge(base, _reading(stated), replace_taste=False)
    for name in ("max_price_usd", "reader_age", "status", "max_volumes", "year_from"):
        wanted = getattr(stated, name)
        assert getattr(merged, name) == (wanted if wanted is not None else getattr(base, name))


@given(base=CONSTRAINTS, stated=CONSTRAINTS)
def test_nothing_is_wanted_and_unwanted_at_once(base: Constraints, stated: Constraints) -> None:
    stated = replace(stated, exclude_genres=tuple(one for one in base.genres if one not in stated.genres))
    merged = merge(base, _reading(stated), replace_taste=False)
    assert not set(merged.genres) & set(merged.exclude_genres)


@given(base=CONSTRAINTS)
def test_saying_nothing_changes_nothing(base: Constraints) -> None:
    assert merge(base, _reading(Constraints()), replace_taste=False) == base


@given(base=CONSTRAINTS)
def test_what_is_taken_back_is_neither_wanted_nor_refused(base: Constraints) -> None:
    merged = merge(base, _reading(Constraints(), ("horror", "dark")), replace_taste=False)
    assert "horror" not in (*merged.genres, *merged.exclude_genres)
    assert "dark" not in merged.moods


@given(constraints=CONSTRAINTS)
def test_every_exact_constraint_becomes_one_filter(constraints: Constraints) -> None:
    filters = {(one.field, one.op): one.values for one in constraint_filters(constraints)}
    assert (("status", "in") in filters) == (constraints.status is not None)
    assert filters.get(("volumes", "lte")) == (
        None if constraints.max_volumes is None else (constraints.max_volumes,)
    )
    assert filters.get(("genres", "not_in"), ()) == constraints.exclude_genres
    child = constraints.reader_age is not None and constraints.reader_age < 18
    assert (("min_age", "lte") in filters) == child


@pytest.mark.parametrize("kinds", [(), ("faq", "policy")])
def test_a_route_without_kinds_retrieves_nothing(kinds: tuple[str, ...]) -> None:
    query = plan_retrieval(
        _reading(Constraints()), decided(Intent.FAQ), Route(handler="llm", retrieval_kinds=kinds)
    )
    assert (query is None) == (not kinds)


NAMES = st.text(alphabet=string.ascii_lowercase, min_size=5, max_size=12)


@given(words=st.lists(NAMES, min_size=1, max_size=8, unique=True), data=st.data())
def test_a_correction_is_never_further_away_than_allowed(words: list[str], data: st.DataObject) -> None:
    typed = data.draw(NAMES)
    found = TypoIndex(words).correct(typed)
    if found is not None:
        assert found in words
        nearest = min(edit_distance(typed, word, limit=2) for word in words)
        assert edit_distance(typed, found, limit=2) <= 2
        assert nearest <= edit_distance(typed, found, limit=2)


@given(word=NAMES, data=st.data())
def test_one_missing_letter_is_corrected(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 1))
    typed = word[:place] + word[place + 1 :]
    if len(typed) >= 5:
        assert TypoIndex([word]).correct(typed) == word
