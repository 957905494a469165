"""Kinds of personal data, and what becomes of each by the purpose a text is kept for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Purpose = Literal["answer", "conversation", "trace", "log", "feedback", "security", "analytics"]
"""What a text is for: shown to the shopper, the conversation's memory, or somebody else's eyes."""

Treatment = Literal["keep", "label", "pseudonym"]
"""Let it stand; replace it by its kind; replace it by its kind and a keyed pseudonym."""

SECRETS = frozenset({"card", "ssn"})
"""Never kept, not even as a pseudonym: nothing is ever joined by them."""

IDENTITY = frozenset({"email", "phone", "iban", "ip", "url", "address", "person"})
"""What tells who someone is."""

REFERENCES = frozenset({"order_id", "tracking_number"})
"""The store's keys to what somebody bought."""

CONTENT = frozenset({"date", "isbn", "asin", "price", "volume"})
"""What questions are about; without it analysis loses its subject."""

DROPPED_FIELDS = frozenset(
    {"authorization", "cookie", "set_cookie", "password", "token", "secret", "api_key"}
)
"""Fields whose value is dropped whole, whatever it looks like."""


def _own_words(*, references: Treatment) -> dict[str, Treatment]:
    return {
        **dict.fromkeys(SECRETS, "label"),
        **dict.fromkeys(IDENTITY, "pseudonym"),
        **dict.fromkeys(REFERENCES, references),
        **dict.fromkeys(CONTENT, "keep"),
    }


def _default_treatments() -> dict[Purpose, Mapping[str, Treatment]]:
    shown = SECRETS | (IDENTITY - {"person", "url"})
    answer: dict[str, Treatment] = {
        **dict.fromkeys(shown, "label"),
        # names in an answer are authors' and characters'; links have a stage of their own
        **dict.fromkeys(REFERENCES | CONTENT | {"person", "url"}, "keep"),
    }
    others: tuple[Purpose, ...] = ("trace", "log", "feedback", "security", "analytics")
    return {
        "answer": answer,
        # "where is my order 114-…?" must be understood again in the next turn
        "conversation": _own_words(references="keep"),
        **dict.fromkeys(others, _own_words(references="pseudonym")),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionPolicy:
    """Which treatment a kind gets for a purpose; a kind that is not named becomes a label."""

    treatments: Mapping[Purpose, Mapping[str, Treatment]] = field(default_factory=_default_treatments)
    dropped_fields: frozenset[str] = DROPPED_FIELDS

    def treatment(self, kind: str, purpose: Purpose) -> Treatment:
        """Return what becomes of a kind."""
        return self.treatments[purpose].get(kind, "label")

    def drops(self, field_name: str) -> bool:
        """Whether a field is dropped whole."""
        return field_name.lower().replace("-", "_") in self.dropped_fields
