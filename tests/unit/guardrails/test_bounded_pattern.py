"""Patterns that a stream can be guarded by, their prefix closures, and what is refused at load."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.guardrails.bounded_pattern import parse_bounded
from mangaassist.serving.guardrails.ruleset import parse_ruleset


def pieces() -> st.SearchStrategy[str]:
    """Small patterns over a, b and c."""
    single = st.sampled_from(["a", "b", "[bc]", "(?i:C)", r"\x61"])
    return st.recursive(
        single,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})"),
            st.tuples(inner, st.sampled_from(["?", "{2}", "{1,3}", "{0,2}"])).map(
                lambda x: f"(?:{x[0]}){x[1]}"
            ),
        ),
        max_leaves=6,
    )


@given(pieces(), st.text(alphabet="abcC", max_size=8))
def test_the_closure_matches_every_beginning_of_a_match_and_nothing_else(pattern: str, text: str) -> None:
    try:
        parsed = parse_bounded(pattern)
    except ConfigurationError:
        return  # matches only the empty text
    whole, closure = re2.compile(parsed.source), re2.compile(parsed.closure)
    if whole.fullmatch(text):
        assert len(text) <= parsed.longest
        assert re2.compile(parsed.loose).fullmatch(text)
        assert re2.compile(pattern).fullmatch(text)
        loose = re2.compile(parsed.loose_closure)
        assert all(closure.fullmatch(text[:end]) for end in range(len(text) + 1))
        assert all(loose.fullmatch(text[:end]) for end in range(len(text) + 1))
    elif closure.fullmatch(text):
        assert len(text) <= parsed.longest


@pytest.mark.parametrize(
    ("pattern", "prefix", "no_prefix"),
    [
        (r"\b\d{3}-\d{4}\b", "555-", "55-"),
        (r"(?:ab|cd){1,2}x?", "abc", "abca"),
        (r"a[^\]b]{0,3}z", "a12", "a]"),
        (r"(?i:foo) ?bar", "FoO b", "fob"),
        (r"[[:alpha:]]{2}\.", "xy", "x."),
        (r"\p{Lu}\x{e9}", "É", "é"),
    ],
)
def test_what_is_held_back(pattern: str, prefix: str, no_prefix: str) -> None:
    closure = re2.compile(parse_bounded(pattern).closure)
    assert closure.fullmatch(prefix)
    assert not closure.fullmatch(no_prefix)


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (r"a+", "without a bound"),
        (r"a*b", "without a bound"),
        (r"(?:ab){2,}", "without a bound"),
        (r"^a", "anchored"),
        (r"a\z", "back-references"),
        (r"(a)\1", "back-references"),
        (r"a(?=b)", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(?P<x>a)", "named group"),
        (r"(a", "open parenthesis"),
        (r"a)", "closing parenthesis"),
        (r"[ab", "open character class"),
        (r"\b", "empty text"),
        (r"a{x}", "cannot be read"),
        (r"{2}", "repeats nothing"),
        (r"a{1,2000}", "RE2"),
    ],
)
def test_what_cannot_be_bounded_is_refused_with_a_sentence(pattern: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        parse_bounded(pattern, rule_id="mine")


def test_a_ruleset_with_an_unbounded_pattern_is_refused_at_load() -> None:
    rule = {"id": "endless", "pattern": "mirror of .* scans"}
    with pytest.raises(ConfigurationError, match=r"'endless' cannot be used.*without a bound"):
        parse_ruleset({"name": "x", "stages": {"competitor_filter": {"patterns": [rule]}}})
