"""Rules, then n-grams, then the encoder: each message is decided by the first stage that is sure."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from mangaassist.domain.errors import ConfigurationError, DependencyError
from mangaassist.domain.intents import ClassificationPath, Intent, IntentDecision
from mangaassist.ports.embedder import TextEncoder
from mangaassist.serving.intent.decision import Verdict
from mangaassist.serving.intent.first_stage import Floats
from mangaassist.serving.intent.model import IntentModel
from mangaassist.serving.intent.rules import IntentRule, IntentRules

LOG = logging.getLogger("mangaassist.serving.intent")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedMessage:
    """A decision, and the message's vector where one was computed, so that retrieval can reuse it."""

    decision: IntentDecision
    vector: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoding:
    """A text's encoding, and the vector that it begins with."""

    values: Floats
    vector: Floats


class IntentCascade:
    """Classifies messages; stateless, one instance a release bundle.

    Without an encoder, with one that the model was not trained for, or when it fails, the first stage
    decides alone and the decision's path is `fallback`.
    """

    def __init__(self, model: IntentModel, rules: IntentRules, encoder: TextEncoder | None) -> None:
        unknown = sorted(set(model.labels) - set(Intent))
        if unknown:
            raise ConfigurationError(f"intent model {model.version!r} has unknown labels: {unknown}")
        self._model = model
        self._rules = rules
        usable = encoder is not None and model.understands(encoder.version, encoder.encoding_width)
        self._encoder = encoder if usable else None
        self.version = f"{model.version}+rules-{rules.version}"

    @property
    def uses_encoder(self) -> bool:
        """Whether the encoder stage is there."""
        return self._encoder is not None

    async def classify(self, text: str) -> ClassifiedMessage:
        """Return the decision for one message; never raises for lack of an encoder."""
        rule = self._rules.match(text)
        if rule is not None:
            return ClassifiedMessage(decision=self._decision_of_rule(rule))
        features = self._model.features(text)
        first = self._model.first_verdict(features)
        if self._model.is_sure(first):
            return ClassifiedMessage(decision=self._decision(first, stage="first_stage", path="model"))
        encoding = await self._encode(text)
        if encoding is None:
            return ClassifiedMessage(decision=self._decision(first, stage="first_stage", path="fallback"))
        verdict = self._model.encoder_verdict(features, encoding.values)
        return ClassifiedMessage(
            decision=self._decision(verdict, stage="encoder", path="model"), vector=encoding.vector
        )

    async def _encode(self, text: str) -> _Encoding | None:
        if self._encoder is None:
            return None
        try:
            values = await self._encoder.encode_query(text.strip())
            return _Encoding(values=values, vector=values[: self._encoder.dimension])
        except DependencyError as error:
            LOG.warning("the encoder failed; the first stage decides alone", extra={"error": str(error)})
            return None

    def _decision_of_rule(self, rule: IntentRule) -> IntentDecision:
        return IntentDecision(
            intent=rule.intent,
            confidence=self._rules.confidence,
            classification_path="rule",
            stage=f"rule:{rule.rule_id}",
            classifier_version=self.version,
        )

    def _decision(self, verdict: Verdict, *, stage: str, path: ClassificationPath) -> IntentDecision:
        return IntentDecision(
            intent=Intent(verdict.label),
            confidence=verdict.confidence,
            classification_path=path,
            stage=stage,
            classifier_version=self.version,
            out_of_scope_score=verdict.outside_score,
            runner_up=Intent(verdict.runner_up),
        )
