"""Our own recognisers behind the port that Comprehend and Presidio stand behind."""

from __future__ import annotations

from collections.abc import Sequence

from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.serving.guardrails.personal_data.finder import PersonalDataFinder


class LocalDetector:
    """A `PersonalDataDetector` in this process: no network, no model."""

    def __init__(self, finder: PersonalDataFinder) -> None:
        self._finder = finder

    async def detect(self, text: str) -> Sequence[FlaggedSpan]:
        """Return what the finder finds."""
        return tuple(self._finder.find(text))
