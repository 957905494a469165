"""grounding_check: whether what an answer says stands in its sources, claim by claim."""

from __future__ import annotations

import re
from typing import Final

from mangaassist.domain.guardrails import ClaimCheck, FlaggedSpan, Phase
from mangaassist.domain.trace import AttributeValue
from mangaassist.serving.guardrails.claims.grounding_model import GroundingModel
from mangaassist.serving.guardrails.claims.sentences import sentence_spans
from mangaassist.serving.guardrails.claims.sources import source_texts
from mangaassist.serving.guardrails.claims.support import Sources, SupportReader, best_evidence
from mangaassist.serving.guardrails.claims.words import content_stems
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding

MIN_CONTENT_WORDS: Final = 2
EVIDENCE_CHARS: Final = 200
_INVITATION: Final = re.compile(
    r"(?i)\s*(?:tell me|let me know|name (?:a|the|one)|sign in|please|just ask)\b"
)
WEAK_SUPPORT: Final = 0.5
"""Share of a sentence's content words in one source sentence below which it counts as unsupported."""


class GroundingCheckStage:
    """Scores answers of a model against facts, chunks and question; replaces what is not grounded.

    The score is the model's probability that the answer departs from its sources; `grounding_score` on the
    span is its complement. Every sentence is a claim with the source sentence that supports it best.
    Templates and answers from the cache have no sources of their own and get no score.
    """

    name = "grounding_check"
    phase: Phase = "output"
    waits = False

    def __init__(self, reader: SupportReader, model: GroundingModel) -> None:
        self._reader = reader
        self._model = model

    @property
    def version(self) -> str:
        """The version of the model."""
        return self._model.version

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Return the score and what speaks for every claim."""
        if context.facts is None or context.handler != "llm":
            return Finding(reason="no sources of its own")
        claimed = statements(text)
        if len(content_stems(claimed)) < MIN_CONTENT_WORDS:
            return Finding(reason="no claims")
        sources = self._reader.sources(source_texts(context))
        score = self._model.score(self._reader.features(claimed, sources))
        claims = claims_of(text, sources, self._reader)
        weak = [claim for claim in claims if claim.support < WEAK_SUPPORT]
        details: dict[str, AttributeValue] = {
            "grounding_score": round(1.0 - score, 4),
            "unsupported_claim_count": len(weak),
            "claim_count": len(claims),
        }
        weakest = min(claims, key=lambda claim: claim.support, default=None)
        return Finding(
            action="replace",
            score=score,
            rule_id="low_support",
            reason=_explained(weakest),
            spans=tuple(FlaggedSpan(start=one.start, end=one.end, kind="unsupported") for one in weak),
            claims=claims,
            details=details,
        )


def claims_of(text: str, sources: Sources, reader: SupportReader) -> tuple[ClaimCheck, ...]:
    """Return every sentence that states something, with its best evidence and the words it lacks."""
    claims = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        stems = content_stems(sentence)
        if not _states(sentence) or len(stems) < MIN_CONTENT_WORDS:
            continue
        support, evidence = best_evidence(stems, sources)
        missing = reader.unsupported(sentence, sources) if support < WEAK_SUPPORT else ()
        claims.append(
            ClaimCheck(
                text=sentence.strip(),
                start=start,
                end=end,
                kind="prose",
                support=round(support, 4),
                evidence=evidence.text[:EVIDENCE_CHARS] if evidence else None,
                source_id=evidence.source_id if evidence else None,
                reason=f"in no source: {', '.join(missing[:8])}" if missing else None,
            )
        )
    return tuple(claims)


def statements(text: str) -> str:
    """Return the sentences of a text that can be true or false."""
    return " ".join(
        text[start:end].strip() for start, end in sentence_spans(text) if _states(text[start:end])
    )


def _states(sentence: str) -> bool:
    return not sentence.rstrip().endswith("?") and _INVITATION.match(sentence) is None


def _explained(claim: ClaimCheck | None) -> str | None:
    if claim is None:
        return None
    missing = f"; {claim.reason}" if claim.reason else ""
    return f"weakest claim “{claim.text[:EVIDENCE_CHARS]}”, {claim.support:.0%} supported{missing}"
