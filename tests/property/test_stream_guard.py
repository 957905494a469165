"""The stream guard's promise: whatever the chunking, nothing of a forbidden name is ever released."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mangaassist.serving.guardrails.streaming import StreamGuard, StreamRules

NAMES = ("amazon", "barnes & noble", "manga", "mangadex", "ana an")
RULES = StreamRules(NAMES)
PIECES = ["Ama", "zon", "MANGA", "dex", " ", ".", "a", "n", "an ", "é", "barnes ", "& "]
ALPHABET = st.sampled_from([*NAMES, *PIECES])


def run(pieces: list[str]) -> tuple[str, str | None]:
    guard = StreamGuard(RULES)
    out = "".join(guard.feed(piece) for piece in pieces)
    return out + guard.finish(), guard.violation


def first_match(text: str) -> re.Match[str] | None:
    names = "|".join(re.escape(name) for name in sorted(NAMES, key=len, reverse=True))
    return re.search(rf"(?<!\w)(?:{names})(?!\w)", text.lower())


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
        assert text.startswith(released)
        assert len(released) <= match.start()


@given(st.lists(ALPHABET, max_size=20), st.data())
def test_the_verdict_does_not_depend_on_the_chunking(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert (run(chunks)[1] is None) == (run([text])[1] is None)
    assert (run(chunks)[1] is None) == (run(list(text))[1] is None)


def test_clean_prose_is_released_at_once_up_to_the_word_in_progress() -> None:
    guard = StreamGuard(RULES)
    assert guard.feed("A quiet book ") == "A quiet book "
    assert guard.feed("for A") == "for "
    assert guard.feed("utumn") == "Autumn"
