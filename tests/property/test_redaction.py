"""Redaction: offsets survive overlaps, personal data goes, order ids and titles stay readable."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.domain.personal_data import Purpose
from mangaassist.serving.guardrails.personal_data.finder import without_overlaps
from mangaassist.serving.guardrails.redaction import FAILED, Redactor
from mangaassist.serving.guardrails.splicing import splice

REDACTOR = Redactor()
KINDS = ("order_id", "email", "address", "person", "something else")


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


PERSONAL = st.sampled_from(
    ["mia.k+1@example.co.uk", "+1 (555) 010-4477", "541-754-3010", "4111 1111 1111 1111", "SSN 123-45-6789",
     "GB29 NWBK 6016 1331 9268 19", "10.0.0.12", "https://me.example/cv", "42 Old Mill Road, Apt. 7",
     "my name is Dana Whitfield", "114-5550101-2000001", "1Z999AA10123456784", "B0C1234567", "1421582694"]
)  # fmt: skip
FILLERS = st.sampled_from(
    [" ", ", ", ". ", "\n", " and ", "x", "-", "(", ")", "call ", "vol. 12 ", "é", "漫画", "@"]
)
TEXTS = st.lists(st.one_of(PERSONAL, FILLERS), max_size=12).map("".join)
KEYED = Redactor(key=b"k" * 32, finder=REDACTOR.finder)
PURPOSES: tuple[Purpose, ...] = (
    "answer", "conversation", "trace", "log", "feedback", "security", "analytics",
)  # fmt: skip


@given(TEXTS, st.sampled_from(PURPOSES))
def test_redacting_twice_changes_nothing(text: str, purpose: Purpose) -> None:
    once = KEYED.redact(text, purpose)
    assert once != FAILED
    assert KEYED.redact(once, purpose) == once


@given(TEXTS)
def test_spans_are_in_order_apart_and_within_the_text(text: str) -> None:
    spans = REDACTOR.finder.find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20), st.sampled_from(KINDS)), max_size=12))
def test_of_overlapping_spans_the_higher_priority_then_the_longer_stays(
    raw: list[tuple[int, int, str]],
) -> None:
    spans = [FlaggedSpan(start=start, end=start + length, kind=kind) for start, length, kind in raw]
    kept = without_overlaps(spans)
    assert all(before.end <= after.start for before, after in pairwise(kept))
    assert without_overlaps(reversed(spans)) == kept
    for span in spans:
        rivals = [other for other in kept if other.start < span.end and span.start < other.end]
        assert any(
            KINDS.index(other.kind) < KINDS.index(span.kind)
            or (other.kind == span.kind and other.end - other.start >= span.end - span.start)
            for other in rivals
        )


def test_a_pseudonym_is_stable_keyed_and_its_kinds_own() -> None:
    same = KEYED.redact("write to Mia@Example.org")
    assert same == KEYED.redact("write to mia@example.org")
    assert same != Redactor(key=b"l" * 32, finder=REDACTOR.finder).redact("write to mia@example.org")
    assert KEYED.pseudonym("email", "x") != KEYED.pseudonym("person", "x")
    assert KEYED.pseudonym("phone", "541-754-3010") == KEYED.pseudonym("phone", "(541) 754 3010")
    assert re.fullmatch(r"write to \[email:[a-p]{10}\]", same)


@pytest.mark.parametrize(
    ("purpose", "kept", "gone"),
    [
        ("conversation", "114-5550101-2000001", "mia@example.org"),
        ("analytics", "volume 12 in May 2026", "114-5550101-2000001"),
        ("trace", "volume 12 in May 2026", "mia@example.org"),
        ("answer", "114-5550101-2000001", "541-754-3010"),
    ],
)
def test_what_stays_depends_on_the_purpose(purpose: Purpose, kept: str, gone: str) -> None:
    text = "order 114-5550101-2000001, volume 12 in May 2026, mia@example.org, call 541-754-3010"
    redacted = KEYED.redact(text, purpose)
    assert kept in redacted
    assert gone not in redacted


def test_payment_data_has_no_pseudonym_and_secret_fields_are_dropped() -> None:
    assert KEYED.redact("card 4111 1111 1111 1111") == "card [card]"
    assert KEYED.redact("abc", "log", field="Authorization") == "[dropped]"


@given(st.text())
def test_redaction_never_raises_and_is_idempotent(text: str) -> None:
    once = REDACTOR.redact(text)
    assert REDACTOR.redact(once) == once
