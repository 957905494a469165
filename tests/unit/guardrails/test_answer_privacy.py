"""Answers: what the shop says of itself stands, what tells of others goes, whole or streamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mangaassist.bootstrap.guardrails import load_ruleset, stream_privacy, stream_rules
from mangaassist.domain.personal_data import RedactionPolicy
from mangaassist.domain.retrieval import Chunk
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.streaming import StreamGuard
from tests.support.whole_text_guard import guard_whole

RULESET = load_ruleset(Path(__file__).parents[3] / "stores" / "jp-manga" / "guardrails" / "ruleset.yaml")
OWN = "Call us on (541) 555-0100 or visit 1 Harbor Street."
CONTEXT = GuardrailContext(
    chunks=(Chunk(chunk_id="c", kind="policy", ref="contact", title="Contact", text=OWN),)
)


def streamed(text: str) -> tuple[str, str | None]:
    guard = StreamGuard(stream_rules(RULESET), stream_privacy(RULESET, CONTEXT, policy=RedactionPolicy()))
    shown = "".join(guard.feed(character) for character in text) + guard.finish()
    return shown, guard.violation


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (OWN, OWN),
        ("Write to help@jpmanga.example.", "Write to help@jpmanga.example."),
        ("See https://jpmanga.example/returns now", "See https://jpmanga.example/returns now"),
        ("See https://evil.example/x.", "See [link removed]."),
        (
            "Order 114-5550101-2000001 ships to 42 Old Mill Road.",
            "Order 114-5550101-2000001 ships to [address].",
        ),
        ("Mail bob@example.com, card 4111 1111 1111 1111", "Mail [email], card [card]"),
        ("By Naoki Urasawa, ISBN 1421569068", "By Naoki Urasawa, ISBN 1421569068"),
    ],
)
def test_what_a_stream_shows(text: str, shown: str) -> None:
    assert streamed(text) == (shown, None)


def test_a_forbidden_name_ends_the_stream_before_its_first_character() -> None:
    assert streamed("Try bob@example.com or MangaDex instead") == ("Try [email] or ", "mangadex")


@pytest.mark.parametrize("off", ["pii_detection", "url_validation"])
def test_a_stage_that_only_observes_changes_nothing_in_the_stream(off: str) -> None:
    stages = {**RULESET.stages, off: RULESET.stages[off].model_copy(update={"mode": "observe"})}
    ruleset = RULESET.model_copy(update={"stages": stages})
    privacy = stream_privacy(ruleset, CONTEXT, policy=RedactionPolicy())
    shown, _ = guard_whole("bob@example.com https://evil.example/x", stream_rules(ruleset), privacy)
    kept = {
        "pii_detection": "bob@example.com [link removed]",
        "url_validation": "[email] https://evil.example/x",
    }
    assert shown == kept[off]
