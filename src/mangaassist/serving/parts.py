"""The parts of the pipeline that one release bundle pins, built together and swapped together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mangaassist.domain.budget import BudgetPolicy
from mangaassist.domain.bundle import ReleaseBundle
from mangaassist.domain.prices import PriceTable
from mangaassist.domain.sampling import SamplingPolicy
from mangaassist.ports.text_models import TextModel
from mangaassist.serving.guardrails.pipeline import GuardrailPipeline
from mangaassist.serving.intent.cascade import IntentCascade
from mangaassist.serving.prompts.builder import PromptBuilder
from mangaassist.serving.retrieval.retriever import Retriever
from mangaassist.serving.templates import TemplateLibrary


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineParts:
    """Everything a request needs from its bundle; a request holds one of these from start to end."""

    bundle: ReleaseBundle
    deployment_stage: str
    classifier: IntentCascade
    retriever: Retriever
    prompts: PromptBuilder
    templates: TemplateLibrary
    guardrails: GuardrailPipeline
    models: Mapping[str, TextModel]
    budget_policy: BudgetPolicy
    cache_min_similarity: float
    cache_ttl_s: float
    sampling: SamplingPolicy = field(default_factory=SamplingPolicy)
    prices: PriceTable = field(default_factory=PriceTable)
