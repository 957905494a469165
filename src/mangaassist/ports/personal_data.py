"""Other recognisers of personal data than our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mangaassist.domain.guardrails import FlaggedSpan


class PersonalDataDetector(Protocol):
    """Finds personal data in a text.

    Promises: spans in the order of the text, kinds named as in `domain.personal_data` (what has no such
    name keeps its own, in lower case), offsets in characters of `text`. Raises `DependencyError` when it
    cannot answer; it never returns a part of an answer.
    """

    async def detect(self, text: str) -> Sequence[FlaggedSpan]:
        """Return what was found."""
        ...
