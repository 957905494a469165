"""Builds the guardrail pipeline of a store pack; a new stage is named here."""

from __future__ import annotations

from pathlib import Path

import yaml

from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.claims.checking import ClaimChecker
from mangaassist.serving.guardrails.pipeline import GuardrailPipeline
from mangaassist.serving.guardrails.redaction import Redactor
from mangaassist.serving.guardrails.ruleset import Ruleset, parse_ruleset
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
from mangaassist.serving.guardrails.stages.prompt_injection import PromptInjectionStage
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


def build_guardrails(ruleset: Ruleset, *, catalog: Catalog) -> GuardrailPipeline:
    """Return the pipeline with every stage under the ruleset."""
    competitors = ruleset.stages.get("competitor_filter")
    stream_rules = StreamRules(competitors.names if competitors and competitors.mode == "enforce" else ())
    claims = ClaimChecker(catalog)
    return GuardrailPipeline(
        (
            InputLengthStage(),
            PromptInjectionStage(ruleset),
            InputToxicityStage(ruleset),
            AsinValidationStage(claims),
            PriceValidationStage(claims),
            FactValidationStage(claims),
            PiiDetectionStage(),
            CompetitorFilterStage(StreamRules(competitors.names if competitors else ())),
            UrlValidationStage(),
            GroundingCheckStage(),
            FormatValidationStage(),
        ),
        ruleset,
        stream_rules,
        redact=Redactor().redact,
    )
