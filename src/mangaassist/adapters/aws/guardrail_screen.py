"""Amazon Bedrock Guardrails as a detector of prompt injection (ApplyGuardrail)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, cast

from mangaassist.adapters.aws.bedrock_errors import DRIVER_ERRORS, error_in_tree
from mangaassist.domain.errors import ConfigurationError, DependencyTimeoutError
from mangaassist.ports.injection_screens import ScreenResult

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession
except ImportError as error:
    raise ConfigurationError("`aiobotocore` is not installed; install the `aws` extra") from error

CONFIDENCES: Final[Mapping[str, float]] = {"NONE": 0.0, "LOW": 0.35, "MEDIUM": 0.7, "HIGH": 0.95}
"""Our scores for the service's words; what its guardrail blocks scores at least as MEDIUM."""
SERVICE: Final = "Bedrock Guardrails"


class _GuardrailClient(Protocol):
    async def apply_guardrail(self, **arguments: Any) -> Mapping[str, Any]: ...


class BedrockGuardrailScreen:
    """An `InjectionScreen` by the PROMPT_ATTACK filter of one guardrail; other policies are not looked at.

    One attempt. Construction opens nothing; one client for all calls.
    """

    def __init__(
        self,
        *,
        guardrail_id: str,
        guardrail_version: str,
        region: str,
        endpoint_url: str | None = None,
        timeout_s: float = 2.0,
        session: AioSession | None = None,
    ) -> None:
        self._guardrail_id = guardrail_id
        self._guardrail_version = guardrail_version
        self._region = region
        self._endpoint_url = endpoint_url
        self._timeout_s = timeout_s
        self._session = session
        self._resources = AsyncExitStack()
        self._opening = asyncio.Lock()  # one client, however many first calls there are
        self._client: _GuardrailClient | None = None

    async def screen(self, text: str) -> ScreenResult:
        """Return the confidence of the PROMPT_ATTACK filter."""
        if not text.strip():
            return ScreenResult(score=0.0, rule_id="bedrock_guardrail")
        client = await self._opened()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await client.apply_guardrail(
                    guardrailIdentifier=self._guardrail_id,
                    guardrailVersion=self._guardrail_version,
                    source="INPUT",
                    content=[{"text": {"text": text}}],
                )
        except TimeoutError as error:
            raise DependencyTimeoutError(f"{SERVICE} did not answer within {self._timeout_s} s") from error
        except DRIVER_ERRORS as error:
            raise error_in_tree(error, in_stream=False, service=SERVICE) from error
        return ScreenResult(score=_score(answer), rule_id="bedrock_guardrail")

    async def close(self) -> None:
        """Close the client and its connections; idempotent."""
        async with self._opening:
            self._client = None
            await self._resources.aclose()

    async def _opened(self) -> _GuardrailClient:
        async with self._opening:
            if self._client is None:
                opening = (self._session or AioSession()).create_client(
                    "bedrock-runtime",
                    region_name=self._region,
                    endpoint_url=self._endpoint_url,
                    config=AioConfig(
                        connect_timeout=self._timeout_s,
                        read_timeout=self._timeout_s + 1,
                        retries={"total_max_attempts": 1, "mode": "standard"},
                    ),
                )
                self._client = cast("_GuardrailClient", await self._resources.enter_async_context(opening))
            return self._client


def _score(answer: Mapping[str, Any]) -> float:
    scores = [0.0]
    for assessment in answer.get("assessments", ()):
        for finding in assessment.get("contentPolicy", {}).get("filters", ()):
            if finding.get("type") == "PROMPT_ATTACK":
                score = CONFIDENCES.get(str(finding.get("confidence")), 0.0)
                blocked = finding.get("action") == "BLOCKED"
                scores.append(max(score, CONFIDENCES["MEDIUM"]) if blocked else score)
    return max(scores)
