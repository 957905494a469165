"""Builds the guardrail pipeline of a store pack; a new stage is named here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from mangaassist.bootstrap.guardrail_models import GuardrailModels
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.personal_data import RedactionPolicy
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.ports.injection_screens import InjectionScreen
from mangaassist.ports.personal_data import PersonalDataDetector
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.answer_privacy import AnswerPrivacy
from mangaassist.serving.guardrails.claims.checking import ClaimChecker
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.personal_data.forms import fixed_form_rules
from mangaassist.serving.guardrails.pipeline import GuardrailPipeline
from mangaassist.serving.guardrails.redaction import Redactor
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy, parse_ruleset
from mangaassist.serving.guardrails.scanning import ScanRule
from mangaassist.serving.guardrails.stages.claim_stages import (
    AsinValidationStage,
    FactValidationStage,
    PriceValidationStage,
)
from mangaassist.serving.guardrails.stages.competitor_filter import CompetitorFilterStage
from mangaassist.serving.guardrails.stages.format_validation import FormatValidationStage
from mangaassist.serving.guardrails.stages.grounding_check import GroundingCheckStage
from mangaassist.serving.guardrails.stages.input_length import InputLengthStage
from mangaassist.serving.guardrails.stages.input_toxicity import InputToxicityStage
from mangaassist.serving.guardrails.stages.pii_detection import PiiDetectionStage
from mangaassist.serving.guardrails.stages.prompt_injection import (
    PromptInjectionStage,
    RetrievedInjectionStage,
)
from mangaassist.serving.guardrails.stages.url_validation import UrlValidationStage
from mangaassist.serving.guardrails.streaming import StreamRules


def load_ruleset(path: Path) -> Ruleset:
    """Read and check a ruleset file."""
    try:
        content = yaml.load(
            path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path.name} must hold a mapping")
    return parse_ruleset(content)


def build_guardrails(
    ruleset: Ruleset,
    *,
    catalog: Catalog,
    models: GuardrailModels,
    redactor: Redactor | None = None,
    detector: PersonalDataDetector | None = None,
    embedder: TextEmbedder | None = None,
    screen: InjectionScreen | None = None,
) -> GuardrailPipeline:
    """Return the pipeline with every stage under the ruleset; `embedder` and `screen` are for messages."""
    redactor = redactor or Redactor()
    claims = ClaimChecker(catalog)
    competitors = ruleset.stages.get("competitor_filter")
    return GuardrailPipeline(
        (
            InputLengthStage(),
            PromptInjectionStage(ruleset, models.injection, embedder, screen=screen),
            RetrievedInjectionStage(ruleset, models.injection),
            InputToxicityStage(ruleset, models.injection.views if models.injection else None),
            AsinValidationStage(claims),
            PriceValidationStage(claims),
            FactValidationStage(claims),
            PiiDetectionStage(redactor.finder.fixed_forms, policy=redactor.policy, detector=detector),
            CompetitorFilterStage(StreamRules(*_forbidden(competitors))),
            UrlValidationStage(),
            GroundingCheckStage(models.support, models.grounding),
            FormatValidationStage(),
        ),
        ruleset,
        stream_rules(ruleset),
        redact=redactor.redact,
        stream_replacement=lambda context: stream_privacy(ruleset, context, policy=redactor.policy),
    )


def stream_rules(ruleset: Ruleset) -> StreamRules:
    """Return what the ruleset enforces while an answer streams: names, personal data, links."""
    competitors = _enforced(ruleset, "competitor_filter")
    guarded = _enforced(ruleset, "pii_detection") or _enforced(ruleset, "url_validation")
    names, patterns = _forbidden(competitors)
    return StreamRules(names, (*patterns, *(fixed_form_rules() if guarded is not None else ())))


def stream_privacy(ruleset: Ruleset, context: GuardrailContext, *, policy: RedactionPolicy) -> AnswerPrivacy:
    """Return what becomes of what those rules find in one answer."""
    return AnswerPrivacy(
        context,
        policy=policy,
        stage=_enforced(ruleset, "pii_detection"),
        links=_enforced(ruleset, "url_validation"),
    )


def _forbidden(policy: StagePolicy | None) -> tuple[Sequence[str], Sequence[ScanRule]]:
    """Return the names and patterns that a policy forbids."""
    if policy is None:
        return (), ()
    patterns = [ScanRule(id=rule.id, pattern=rule.pattern, action="block") for rule in policy.patterns]
    return policy.names, patterns


def _enforced(ruleset: Ruleset, stage: str) -> StagePolicy | None:
    policy = ruleset.stages.get(stage)
    return policy if policy is not None and policy.mode == "enforce" else None
