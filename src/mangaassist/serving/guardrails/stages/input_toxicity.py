"""input_toxicity: threats, hate, harassment and insults, scored for the record and for escalation.

By rules alone, over the same views as prompt_injection (so that spaced or disguised words are read). They
know what is said outright in English, and the commonest insults of six other languages; irony, allusion and
everything that needs context pass. No public toxicity set may ship with this product, and rules that anyone
can read are better than a model trained on a few hundred invented insults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.injection.views import View, normal_view
from mangaassist.serving.guardrails.rule_set import RuleSet, span_of
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class InputToxicityStage:
    """Blocks at the threshold; the shipped ruleset only observes, because angry customers need help."""

    name = "input_toxicity"
    phase: Phase = "input"
    waits = False

    def __init__(self, ruleset: Ruleset, views: Callable[[str], Sequence[View]] | None = None) -> None:
        self._rules = RuleSet(ruleset.stages[self.name].rules)
        self._views = views or _plain

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is the highest score of a matching rule in any view."""
        found = [
            (rule, view)
            for view in self._views(text)
            if (rule := self._rules.strongest(view.text)) is not None
        ]
        if not found:
            return Finding(score=0.0)
        rule, view = max(found, key=lambda hit: hit[0].score)
        spans = tuple(
            FlaggedSpan(start=start, end=end, kind=span.kind)
            for span in span_of(rule, view.text)
            for start, end in (view.original(span.start, span.end),)
        )
        return Finding(
            action="block", score=rule.score, rule_id=rule.id, reason="abusive message", spans=spans
        )


def _plain(text: str) -> Sequence[View]:
    return (normal_view(text),)
