"""Builds the text models that a bundle names, each behind retries, a circuit breaker and its fallback."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from mangaassist.adapters.embedded.composer.model import GroundedComposer
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.bundle import ModelChoice
from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.clock import Clock
from mangaassist.ports.text_models import TextModel
from mangaassist.serving.generation.resilience import FallbackModel, ResilientTextModel


class TextModels:
    """One connection-holding model per provider, shared by every bundle of the process."""

    def __init__(self, settings: Settings, *, clock: Clock, random: Random) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._providers: dict[str, TextModel] = {}
        self._resilient: dict[ModelChoice, TextModel] = {}

    def of(self, choices: Mapping[str, ModelChoice]) -> dict[str, TextModel]:
        """Return the models of a bundle by the key its routes use."""
        return {key: self._model(choice) for key, choice in choices.items()}

    def provider(self, name: str) -> TextModel:
        """Return the bare model of a provider; raises `ConfigurationError` for an unknown one."""
        if name not in self._providers:
            self._providers[name] = self._build(name)
        return self._providers[name]

    async def close(self) -> None:
        """Release all connections."""
        for model in self._providers.values():
            await model.close()

    def _model(self, choice: ModelChoice) -> TextModel:
        if choice not in self._resilient:
            self._resilient[choice] = self._guarded(choice)
        return self._resilient[choice]

    def _guarded(self, choice: ModelChoice) -> TextModel:
        primary = self.provider(choice.provider)
        fallback = None
        if choice.fallback_provider is not None:
            if choice.fallback_model_id is None:
                raise ConfigurationError(
                    f"model {choice.model_id!r}: fallback_provider needs fallback_model_id"
                )
            fallback = FallbackModel(
                model=self.provider(choice.fallback_provider),
                model_id=choice.fallback_model_id,
                parameters=choice.parameters,
            )
        if choice.provider == "embedded":
            # nothing to retry: it is deterministic and in process
            return primary
        return ResilientTextModel(primary, clock=self._clock, random=self._random, fallback=fallback)

    def _build(self, name: str) -> TextModel:
        settings = self._settings
        if name == "embedded":
            return GroundedComposer()
        if name == "bedrock":
            from mangaassist.adapters.aws.bedrock import BedrockTextModel

            return BedrockTextModel(
                region=settings.bedrock_region, endpoint_url=settings.bedrock_endpoint_url
            )
        if name == "openai_compatible":
            from mangaassist.adapters.openai_compatible.chat import OpenAICompatibleTextModel

            if settings.openai_base_url is None:
                raise ConfigurationError("provider 'openai_compatible' needs MANGAASSIST_OPENAI_BASE_URL")
            key = settings.openai_api_key
            return OpenAICompatibleTextModel(
                base_url=settings.openai_base_url, api_key=key.get_secret_value() if key else None
            )
        raise ConfigurationError(f"unknown provider {name!r}; known: embedded, bedrock, openai_compatible")
