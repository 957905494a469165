"""The stream guard's promise: whatever the chunking, what is released is what the whole text allows."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.serving.guardrails.personal_data.forms import fixed_form_rules
from mangaassist.serving.guardrails.scanning import ScanRule
from mangaassist.serving.guardrails.streaming import StreamGuard, StreamRules
from tests.support.whole_text_guard import guard_whole

NAMES = ("amazon", "barnes & noble", "manga", "mangadex", "ana an")
RULES = StreamRules(NAMES)
ALL_RULES = StreamRules(("amazon", "barnes & noble", "mangadex"), fixed_form_rules())
REDACTING = StreamRules((), fixed_form_rules())
PIECES = ["Ama", "zon", "MANGA", "dex", " ", ".", "a", "n", "an ", "é", "barnes ", "& "]
ALPHABET = st.sampled_from([*NAMES, *PIECES])
PLANTED = [
    "amazon", "Barnes & Noble", "mangadex", "mia.k@example.co.uk", "+1 (555) 010-4477", "555-010-4477",
    "4111 1111 1111 1111", "123-45-6789", "10.0.0.12", "https://evil.example/x?y=1", "1Z999AA10123456784",
    "GB29 NWBK 6016 1331 9268 19", "114-5550101-2000001", "978-1-4215-8269-6", "1421582694", "B0C1234567",
    "2001:db8::ff00:42:8329", "42 Old Mill Road", "Street", "12 Of The ", "$1,299.00", "Vol. 12", "3 volumes",
    "call me", "my card is", "order", "tracking", " ", ". ", ", ", "-", "x", "1", "55", "@", ".com", "é",
    "漫画", "\n", "(", ")",
]  # fmt: skip


def run(pieces: list[str], rules: StreamRules = RULES) -> tuple[str, str | None]:
    guard = StreamGuard(rules)
    out = "".join(guard.feed(piece) for piece in pieces)
    return out + guard.finish(), guard.violation


def cut(text: str, cuts: list[int]) -> list[str]:
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def first_match(text: str) -> re.Match[str] | None:
    names = "|".join(re.escape(name) for name in sorted(NAMES, key=len, reverse=True))
    return re.search(rf"\b(?:{names})\b", text, re.IGNORECASE | re.ASCII)


@given(st.lists(ALPHABET, max_size=30))
def test_released_text_stops_before_the_first_forbidden_name(pieces: list[str]) -> None:
    text = "".join(pieces)
    released, violation = run(pieces)
    match = first_match(text)
    if match is None:
        assert violation is None
        assert released == text
    else:
        assert violation is not None
        assert released == text[: match.start()]


@given(st.lists(st.sampled_from(PLANTED), max_size=16), st.data())
def test_verdict_and_text_are_those_of_the_whole_text(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    whole = guard_whole(text, ALL_RULES)
    assert run(cut(text, cuts), ALL_RULES) == whole
    assert run(list(text), ALL_RULES) == whole


@given(st.text(max_size=120), st.data())
def test_arbitrary_text_streams_as_the_whole_text_does(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    assert run(cut(text, cuts), ALL_RULES) == guard_whole(text, ALL_RULES)


@given(st.lists(st.sampled_from(PLANTED), max_size=16), st.data())
def test_no_released_character_belongs_to_what_the_whole_text_redacts(
    pieces: list[str], data: st.DataObject
) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    guard = StreamGuard(REDACTING, lambda kind, found: "")
    released = "".join(guard.feed(piece) for piece in cut(text, cuts)) + guard.finish()
    hidden = {i for hit in REDACTING.scan(text) for i in range(hit.span.start, hit.span.end)}
    assert released == "".join(character for i, character in enumerate(text) if i not in hidden)


def chunkings(count: int, seed: int) -> tuple[int, int]:
    """Return how many random chunkings leaked or differed, of planted and clean texts."""
    random = Random(seed)
    different = leaked = 0
    for _ in range(count):
        text = "".join(random.choice(PLANTED) for _ in range(random.randint(1, 14)))
        cuts = sorted(random.randint(0, len(text)) for _ in range(random.randint(0, 20)))
        whole, verdict = guard_whole(text, ALL_RULES)
        guard = StreamGuard(ALL_RULES)
        shown = ""
        for piece in cut(text, cuts):
            shown += guard.feed(piece)
            leaked += not whole.startswith(shown)
        different += (shown + guard.finish(), guard.violation) != (whole, verdict)
    return leaked, different


def test_a_thousand_random_chunkings_leak_nothing_and_change_no_verdict() -> None:
    assert chunkings(1_000, seed=11) == (0, 0)


@pytest.mark.full_size
def test_a_hundred_thousand_random_chunkings_leak_nothing_and_change_no_verdict() -> None:
    assert chunkings(100_000, seed=12) == (0, 0)


def test_clean_prose_is_released_at_once_up_to_the_word_in_progress() -> None:
    guard = StreamGuard(RULES)
    assert guard.feed("A quiet book ") == "A quiet book "
    assert guard.feed("for A") == "for "
    assert guard.feed("utumn") == "Autumn"


def test_a_longer_candidate_that_begins_earlier_is_waited_for() -> None:
    guard = StreamGuard(ALL_RULES)
    assert guard.feed("a.555-555-4567") == ""
    assert guard.feed("@x.com ") == "[email] "


def test_order_ids_are_shown_and_never_taken_for_telephone_numbers() -> None:
    guard = StreamGuard(REDACTING, lambda k, t: None if k == "order_id" else f"[{k}]")
    shown = "".join(guard.feed(character) for character in "call 114-5550101-2000001 now") + guard.finish()
    assert shown == "call 114-5550101-2000001 now"


def test_rules_without_names_hold_nothing_back() -> None:
    guard = StreamGuard(StreamRules(()))
    assert guard.feed("anything@example.com") == "anything@example.com"


@pytest.mark.parametrize(
    ("pattern", "longest"), [(r"\b[a-z]{3,90}-\d{4}\b", 95), (r"\b[a-z]{3}-\d{4}\b", 8), (r"é{1,40}x", 41)]
)
def test_the_longest_hold_is_the_longest_bounded_match(pattern: str, longest: int) -> None:
    rules = StreamRules((), (ScanRule(id="code", pattern=pattern),))
    assert rules.longest == longest
    guard = StreamGuard(rules)
    for character in "abc-1234 and abc-12345 and " + "a" * 300 + "-1234 abc-" + "é" * 90 + "x":
        guard.feed(character)
        assert guard.held_chars <= rules.longest
