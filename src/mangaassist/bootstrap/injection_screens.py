"""Opens the detector of prompt injection that the settings name beside our own."""

from __future__ import annotations

from contextlib import AsyncExitStack

from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.injection_screens import InjectionScreen


def open_screen(settings: Settings, stack: AsyncExitStack) -> InjectionScreen | None:
    """Return the screen, or None; `stack` closes it. Raises `ConfigurationError` for a half-made setting."""
    if settings.injection_screen == "bedrock":
        if settings.bedrock_guardrail_id is None:
            raise ConfigurationError(
                "MANGAASSIST_INJECTION_SCREEN=bedrock needs MANGAASSIST_BEDROCK_GUARDRAIL_ID"
            )
        from mangaassist.adapters.aws.guardrail_screen import BedrockGuardrailScreen

        bedrock = BedrockGuardrailScreen(
            guardrail_id=settings.bedrock_guardrail_id,
            guardrail_version=settings.bedrock_guardrail_version,
            region=settings.bedrock_region,
            endpoint_url=settings.bedrock_endpoint_url,
        )
        stack.push_async_callback(bedrock.close)
        return bedrock
    if settings.injection_screen == "prompt_guard":
        if settings.prompt_guard_path is None:
            raise ConfigurationError(
                "MANGAASSIST_INJECTION_SCREEN=prompt_guard needs MANGAASSIST_PROMPT_GUARD_PATH"
            )
        from mangaassist.adapters.embedded.prompt_guard import PromptGuardScreen

        return PromptGuardScreen(settings.prompt_guard_path)
    return None
