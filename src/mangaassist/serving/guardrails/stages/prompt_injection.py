"""prompt_injection and retrieved_injection: attempts to give the assistant other orders.

Rules and a learned model read every view of the text (normalised, decoded); the higher score counts. In
messages the encoder that the process has anyway reads the suspicious window of unclear ones, and another
detector (an `InjectionScreen`) may be asked too.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace

from mangaassist.domain.errors import DependencyError
from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.ports.injection_screens import InjectionScreen
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.injection.model import Evidence, InjectionModel
from mangaassist.serving.guardrails.injection.views import View, normal_view
from mangaassist.serving.guardrails.rule_set import RuleSet, span_of
from mangaassist.serving.guardrails.ruleset import Rule, Ruleset, StagePolicy
from mangaassist.serving.guardrails.stage import Finding

REASON = "the text tries to change the assistant's instructions"
LEARNED = "learned_model"
ENCODER_SHARE = 0.4
SCREEN_SHARE = 0.5
"""Of the stage's time-out, what encoder and screen may take; the score stands without either's answer."""
MOST_REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class _RuleHit:
    rule: Rule
    view: View


class PromptInjectionStage:
    """Scores messages; without a model by rules alone, without an encoder by rules and n-grams."""

    name = "prompt_injection"
    phase: Phase = "input"

    def __init__(
        self,
        ruleset: Ruleset,
        model: InjectionModel | None = None,
        embedder: TextEmbedder | None = None,
        *,
        screen: InjectionScreen | None = None,
    ) -> None:
        self._reader = InjectionReader(RuleSet(ruleset.stages[self.name].rules), model)
        self._model = model
        self._embedder = embedder if model is not None else None
        self._screen = screen
        self.waits = self._embedder is not None or screen is not None

    @property
    def version(self) -> str:
        """The version of the learned model, and of the encoder that it may ask."""
        model = "rules" if self._model is None else self._model.version
        return model if self._embedder is None else f"{model}+{self._embedder.version}"

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 0 to 1 with the model's operating point at 0.5, or a matching rule's score if higher."""
        reading = self._reader.read(text)
        score = reading.score
        asked = False
        if self._embedder is not None and reading.evidence is not None and self._model is not None:
            asked = self._model.wants_encoder(score, self._embedder.version)
            if asked:
                score = await self._with_encoder(reading.evidence, policy, otherwise=score)
        finding = reading.finding(score, encoder_asked=asked)
        return finding if self._screen is None else await self._screened(self._screen, text, finding, policy)

    async def _screened(
        self, screen: InjectionScreen, text: str, own: Finding, policy: StagePolicy
    ) -> Finding:
        """Return the more suspicious of two opinions; our own stands when the other does not come."""
        try:
            async with asyncio.timeout(SCREEN_SHARE * policy.timeout_ms / 1000):
                other = await screen.screen(text)
        except (DependencyError, TimeoutError) as error:
            return replace(own, details={**own.details, "screen": type(error).__name__})
        details = {**own.details, "screen": other.rule_id, "screen_score": round(other.score, 4)}
        if own.score is not None and other.score <= own.score:
            return replace(own, details=details)
        return replace(
            own,
            score=other.score,
            rule_id=other.rule_id,
            reason=REASON,
            spans=(FlaggedSpan(start=0, end=len(text), kind=other.rule_id),),
            details={**details, "prompt_injection_score": round(other.score, 4)},
        )

    async def _with_encoder(self, evidence: Evidence, policy: StagePolicy, *, otherwise: float) -> float:
        assert self._embedder is not None
        assert self._model is not None
        try:
            async with asyncio.timeout(ENCODER_SHARE * policy.timeout_ms / 1000):
                vector = await self._embedder.embed_query(evidence.window)
        except (DependencyError, TimeoutError):
            return otherwise
        return self._model.probability_with(evidence, vector)


class RetrievedInjectionStage:
    """The same for retrieved chunks, without the encoder; remembers texts, which come again and again."""

    name = "retrieved_injection"
    phase: Phase = "retrieved"
    waits = False

    def __init__(self, ruleset: Ruleset, model: InjectionModel | None = None) -> None:
        self._reader = InjectionReader(RuleSet(ruleset.stages[PromptInjectionStage.name].rules), model)
        self._known: OrderedDict[str, Finding] = OrderedDict()
        self.version = "rules" if model is None else model.version

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score as for messages; documents have a threshold of their own."""
        found = self._known.get(text)
        if found is None:
            reading = self._reader.read(text)
            found = self._known[text] = reading.finding(reading.score)
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class InjectionReading:
    """What rules and n-grams say of one text; `score` is the model's probability."""

    score: float
    evidence: Evidence | None
    hit: _RuleHit | None
    view_kinds: tuple[str, ...]

    def finding(self, score: float, *, encoder_asked: bool = False) -> Finding:
        """Return the finding with the model's final score; the rule wins ties, because it explains more."""
        rule_score = self.hit.rule.score if self.hit is not None else 0.0
        final = max(score, rule_score)
        spans: tuple[FlaggedSpan, ...] = ()
        rule_id: str | None = None
        if self.hit is not None and rule_score >= score:
            rule_id = self.hit.rule.id
            spans = tuple(
                FlaggedSpan(start=start, end=end, kind=span.kind)
                for span in span_of(self.hit.rule, self.hit.view.text)
                for start, end in (self.hit.view.original(span.start, span.end),)
            )
        elif self.evidence is not None and final > 0:
            rule_id = LEARNED
            spans = (FlaggedSpan(start=self.evidence.start, end=self.evidence.end, kind=self.evidence.kind),)
        return Finding(
            action="block",
            score=final,
            rule_id=rule_id,
            reason=REASON if rule_id is not None else None,
            spans=spans,
            details={
                "prompt_injection_score": round(final, 4),
                "rule_score": rule_score,
                "learned_score": round(score, 4),
                "encoder_asked": encoder_asked,
                "views": self.view_kinds,
            },
        )


class InjectionReader:
    """Reads one text with rules and model."""

    def __init__(self, rules: RuleSet, model: InjectionModel | None) -> None:
        self._rules = rules
        self._model = model

    def read(self, text: str) -> InjectionReading:
        """Return the strongest rule in any view, and the model's evidence."""
        model = self._model
        views = [normal_view(text)] if model is None else model.views(text)
        hit: _RuleHit | None = None
        for view in views:
            rule = self._rules.strongest(view.text)
            if rule is not None and (hit is None or rule.score > hit.rule.score):
                hit = _RuleHit(rule, view)
        evidence = None if model is None else model.evidence(views)
        return InjectionReading(
            score=0.0 if model is None or evidence is None else model.probability(evidence),
            evidence=evidence,
            hit=hit,
            view_kinds=tuple(view.kind for view in views),
        )
