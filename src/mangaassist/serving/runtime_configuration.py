"""The runtime configuration, parsed and checked: release, prompts, routes, models, budgets, cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mangaassist.domain.budget import BudgetPolicy
from mangaassist.domain.bundle import ModelChoice, ReleaseBundle, Route
from mangaassist.domain.chat import Handler
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.generation import ModelParameters
from mangaassist.domain.intents import Intent
from mangaassist.domain.prices import ModelPrice, PriceTable
from mangaassist.domain.sampling import SamplingPolicy


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ModelSection(_Section):
    provider: str
    model_id: str
    temperature: float = Field(default=0.3, ge=0, le=2)
    max_tokens: int = Field(default=600, ge=1, le=32_000)
    fallback_provider: str | None = None
    fallback_model_id: str | None = None


class _RouteSection(_Section):
    handler: Handler
    model: str | None = None
    reduced_model: str | None = None
    template: str | None = None
    retrieval_kinds: tuple[str, ...] = ()
    top_k: int = Field(default=6, ge=1, le=50)
    cacheable: bool = False
    short_message_words: int | None = Field(default=None, ge=1, le=100)
    short_message_model: str | None = None


class _BudgetSection(_Section):
    limit_tokens: int = Field(default=40_000, ge=1)
    reduced_below_ratio: Annotated[float, Field(ge=0, le=1)] = 0.25
    full_reservation_tokens: int = Field(default=3_000, ge=1)
    reduced_reservation_tokens: int = Field(default=1_200, ge=1)


class _CacheSection(_Section):
    min_similarity: Annotated[float, Field(ge=0, le=1)] = 0.96
    ttl_s: float = Field(default=3_600, gt=0)


class _PriceSection(_Section):
    """US dollars for a million tokens; without prices of their own, cached and written ones cost as input."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)


_Rate = Annotated[float, Field(ge=0, le=1)]


class _TraceSection(_Section):
    """The share of traces kept by rule; see `domain.sampling`."""

    error: _Rate = 1.0
    blocked: _Rate = 1.0
    fallback: _Rate = 1.0
    escalation: _Rate = 1.0
    slow: _Rate = 1.0
    canary: _Rate = 1.0
    shadow: _Rate = 1.0
    experiment: _Rate = 1.0
    ordinary: dict[str, _Rate] = {"prod": 0.1}
    slow_ms: dict[str, Annotated[float, Field(gt=0)]] = {"llm": 3_000.0}


class RuntimeConfiguration(_Section):
    """Everything that an operator may change on a running server."""

    release: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$")
    bundle: str | None = None
    deployment_stage: str = "prod"
    price_table: str = "none"
    guardrail_ruleset: str = Field(default="ruleset", min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    prices: dict[str, _PriceSection] = {}
    prompts: dict[str, str]
    routes: dict[Intent, _RouteSection]
    models: dict[str, _ModelSection]
    budget: _BudgetSection = _BudgetSection()
    cache: _CacheSection = _CacheSection()
    traces: _TraceSection = _TraceSection()

    @property
    def budget_policy(self) -> BudgetPolicy:
        """The session budget as the budget store takes it."""
        return BudgetPolicy(**self.budget.model_dump())

    @property
    def prices_in_force(self) -> PriceTable:
        """The price table; its version ends in the hash of its prices."""
        if not self.prices:
            return PriceTable(version=self.price_table)
        content = {model: section.model_dump() for model, section in self.prices.items()}
        digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return PriceTable(
            version=f"{self.price_table}-{digest[:8]}",
            prices={
                model: ModelPrice(
                    input_usd=section.input,
                    output_usd=section.output,
                    cached_input_usd=section.input if section.cached_input is None else section.cached_input,
                    cache_write_usd=section.input if section.cache_write is None else section.cache_write,
                )
                for model, section in self.prices.items()
            },
        )

    @property
    def sampling_policy(self) -> SamplingPolicy:
        """Which traces are kept; what the document leaves out is kept, and slow from a second on."""
        section = self.traces
        return SamplingPolicy(
            **section.model_dump(exclude={"ordinary", "slow_ms"}),
            ordinary={"default": 1.0, **section.ordinary},
            slow_ms={"default": 1_000.0, **section.slow_ms},
        )

    def model_choices(self) -> dict[str, ModelChoice]:
        """The models by the key that routes use."""
        return {
            key: ModelChoice(
                provider=section.provider,
                model_id=section.model_id,
                parameters=ModelParameters(temperature=section.temperature, max_tokens=section.max_tokens),
                fallback_provider=section.fallback_provider,
                fallback_model_id=section.fallback_model_id,
            )
            for key, section in self.models.items()
        }

    def route_table(self) -> dict[str, Route]:
        """The routes by intent name."""
        return {intent.value: Route(**section.model_dump()) for intent, section in self.routes.items()}


def parse_runtime_configuration(content: Mapping[str, object]) -> RuntimeConfiguration:
    """Check a configuration document; raise `ConfigurationError` naming every wrong field."""
    try:
        configuration = RuntimeConfiguration.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors()
        )
        raise ConfigurationError(f"the runtime configuration cannot be used: {problems}") from error
    problems_found = [
        f"routes.{intent.value}: missing" for intent in Intent if intent not in configuration.routes
    ]
    for intent, route in configuration.routes.items():
        wants_model = route.handler in ("llm", "cached")
        if wants_model and route.model is None:
            problems_found.append(f"routes.{intent.value}.model: handler {route.handler!r} needs a model")
        if not wants_model and route.template is None:
            problems_found.append(
                f"routes.{intent.value}.template: handler {route.handler!r} needs a template"
            )
        problems_found += [
            f"routes.{intent.value}.{name}: no model {key!r} under models"
            for name in ("model", "reduced_model", "short_message_model")
            if (key := getattr(route, name)) is not None and key not in configuration.models
        ]
        if wants_model and intent.value not in configuration.prompts:
            problems_found.append(f"prompts.{intent.value}: handler {route.handler!r} needs a prompt version")
    if problems_found:
        raise ConfigurationError(f"the runtime configuration cannot be used: {'; '.join(problems_found)}")
    return configuration


def compose_bundle(
    configuration: RuntimeConfiguration,
    *,
    name: str,
    intent_classifier_version: str,
    embedding_version: str | None,
    reranker_version: str,
    retriever_policy_version: str,
    knowledge_version: str,
    guardrail_ruleset_version: str,
    template_version: str,
) -> ReleaseBundle:
    """Return the immutable bundle of these versions; its version ends in the hash of its content."""
    content: dict[str, object] = {
        "name": name,
        "intent_classifier_version": intent_classifier_version,
        "embedding_version": embedding_version,
        "reranker_version": reranker_version,
        "retriever_policy_version": retriever_policy_version,
        "knowledge_version": knowledge_version,
        "prompt_versions": configuration.prompts,
        "routes": {intent.value: section.model_dump() for intent, section in configuration.routes.items()},
        "models": {key: section.model_dump() for key, section in configuration.models.items()},
        "guardrail_ruleset_version": guardrail_ruleset_version,
        "template_version": template_version,
        "price_table_version": configuration.prices_in_force.version,
    }
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return ReleaseBundle(
        name=name,
        version=f"{configuration.release}-{digest[:8]}",
        intent_classifier_version=intent_classifier_version,
        embedding_version=embedding_version,
        reranker_version=reranker_version,
        retriever_policy_version=retriever_policy_version,
        knowledge_version=knowledge_version,
        prompt_versions=dict(configuration.prompts),
        routes=configuration.route_table(),
        models=configuration.model_choices(),
        guardrail_ruleset_version=guardrail_ruleset_version,
        template_version=template_version,
        price_table_version=configuration.prices_in_force.version,
    )
