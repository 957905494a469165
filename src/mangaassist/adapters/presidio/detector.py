"""Presidio's analyzer as a detector of personal data; without models, as it runs offline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

from mangaassist.domain.errors import ConfigurationError, DependencyUnavailableError
from mangaassist.domain.guardrails import FlaggedSpan

_KINDS: Final = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "US_SSN": "ssn",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "LOCATION": "address",
    "DATE_TIME": "date",
}


class Analyzer(Protocol):
    """The part of `presidio_analyzer.AnalyzerEngine` that is used."""

    def analyze(self, text: str, language: str, *, score_threshold: float) -> Sequence[Any]:
        """Return results with `entity_type`, `start` and `end`."""
        ...


class PresidioDetector:
    """A `PersonalDataDetector` over an analyzer, run in a thread: it takes milliseconds of CPU."""

    def __init__(self, analyzer: Analyzer, *, language: str = "en", min_score: float = 0.4) -> None:
        self._analyzer = analyzer
        self._language = language
        self._min_score = min_score

    async def detect(self, text: str) -> Sequence[FlaggedSpan]:
        """Return what the analyzer finds."""
        return await asyncio.to_thread(self.analyze, text)

    def analyze(self, text: str) -> Sequence[FlaggedSpan]:
        """Return what the analyzer finds, in this thread."""
        try:
            found = self._analyzer.analyze(text, self._language, score_threshold=self._min_score)
        except Exception as error:  # its recognisers raise whatever they like
            raise DependencyUnavailableError(f"Presidio failed: {type(error).__name__}") from error
        spans = [
            FlaggedSpan(
                start=result.start,
                end=result.end,
                kind=_KINDS.get(result.entity_type, result.entity_type.lower()),
            )
            for result in found
        ]
        return tuple(sorted(spans, key=lambda span: (span.start, span.end)))


def offline_analyzer() -> Analyzer:
    """Return an analyzer without models or network; raises `ConfigurationError` when Presidio is missing."""
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
    except ImportError as error:
        raise ConfigurationError(
            "`presidio-analyzer` is not installed; install it beside MangaAssist to use it"
        ) from error

    engine = SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    analyzer: Analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    return analyzer
