"""Redaction: offsets survive overlaps, personal data goes, order ids and titles stay readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.serving.guardrails.redaction import FAILED, Redactor
from mangaassist.serving.guardrails.splicing import splice

REDACTOR = Redactor()


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=6))
def test_splicing_keeps_everything_outside_the_spans_and_nothing_inside(
    text: str, raw: list[tuple[int, int]]
) -> None:
    spans = [
        FlaggedSpan(start=start, end=min(len(text), start + length), kind="x")
        for start, length in raw
        if start < len(text)
    ]
    covered = {index for span in spans for index in range(span.start, span.end)}
    outside = "".join(character for index, character in enumerate(text) if index not in covered)
    assert splice(text, [(span, "") for span in spans]) == outside


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("write to mia.k+1@example.co.uk please", "mia.k+1@example.co.uk"),
        ("call +1 (555) 010-4477 now", "555"),
        ("call 555-010-4477", "555-010-4477"),
        ("my card is 4111 1111 1111 1111", "4111"),
        ("order 114-5550101-2000001 is late", "114-5550101-2000001"),
        ("I live at 42 Old Mill Road", "42 Old Mill Road"),
    ],
)
def test_personal_data_does_not_leave_the_process(text: str, gone: str) -> None:
    assert gone not in REDACTOR.redact(text)


@pytest.mark.parametrize(
    "text",
    ["is volume 12 of 20th Century Boys $14.99?", "ISBN 1421539640", "when does vol 5 come out in 2026"],
)
def test_what_a_question_is_about_stays_readable(text: str) -> None:
    assert REDACTOR.redact(text) == text


def test_a_failing_redactor_drops_the_text() -> None:
    broken: str = None  # type: ignore[assignment]  # what a bug upstream might pass
    assert REDACTOR.redact(broken) == FAILED


@given(st.text())
def test_redaction_never_raises_and_is_idempotent(text: str) -> None:
    once = REDACTOR.redact(text)
    assert REDACTOR.redact(once) == once
