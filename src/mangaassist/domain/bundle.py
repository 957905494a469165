"""Release bundles: the versions that answer a message together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mangaassist.domain.chat import Handler
from mangaassist.domain.generation import ModelParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A model with its parameters, and the one to fall back to."""

    provider: str
    model_id: str
    parameters: ModelParameters = field(default_factory=ModelParameters)
    fallback_provider: str | None = None
    fallback_model_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How an intent is answered.

    `model`, `reduced_model` (when the session budget runs low) and `short_message_model` (for messages
    of at most `short_message_words` words) are keys of the bundle's models; None for no model.
    """

    handler: Handler
    model: str | None = None
    reduced_model: str | None = None
    template: str | None = None
    retrieval_kinds: tuple[str, ...] = ()
    top_k: int = 6
    cacheable: bool = False
    short_message_words: int | None = None
    short_message_model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseBundle:
    """One immutable set of versions; `version` ends in the hash of the canonical content."""

    name: str
    version: str
    intent_classifier_version: str
    embedding_version: str | None
    reranker_version: str
    retriever_policy_version: str
    knowledge_version: str
    prompt_versions: Mapping[str, str]
    routes: Mapping[str, Route]
    models: Mapping[str, ModelChoice]
    guardrail_ruleset_version: str
    template_version: str
    price_table_version: str
