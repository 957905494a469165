"""Amazon Comprehend as a detector of personal data (DetectPiiEntities)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, cast

from mangaassist.adapters.aws.bedrock_errors import DRIVER_ERRORS, error_in_tree
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyRejectedError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.guardrails import FlaggedSpan

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession
except ImportError as error:
    raise ConfigurationError("`aiobotocore` is not installed; install the `aws` extra") from error

MAX_TEXT_BYTES: Final = 100_000
_KINDS: Final = {
    "NAME": "person",
    "CREDIT_DEBIT_NUMBER": "card",
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": "iban",
    "IP_ADDRESS": "ip",
    "DATE_TIME": "date",
}


class _ComprehendClient(Protocol):
    async def detect_pii_entities(self, *, Text: str, LanguageCode: str) -> Mapping[str, Any]: ...  # noqa: N803  # the service's own names


class ComprehendDetector:
    """A `PersonalDataDetector`; entities below `min_score` are left out. Construction opens nothing.

    One attempt: a stage has its own time-out and failure policy. Offsets are counted in code points, as
    Python's are.
    """

    def __init__(
        self,
        *,
        region: str,
        endpoint_url: str | None = None,
        language: str = "en",
        min_score: float = 0.5,
        timeout_s: float = 2.0,
        session: AioSession | None = None,
    ) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._language = language
        self._min_score = min_score
        self._timeout_s = timeout_s
        self._session = session
        self._resources = AsyncExitStack()
        self._opening = asyncio.Lock()  # one client, however many first calls there are
        self._client: _ComprehendClient | None = None

    async def detect(self, text: str) -> Sequence[FlaggedSpan]:
        """Return what Comprehend finds; raises `DependencyError` also for a text over its limit."""
        if not text.strip():
            return ()
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise DependencyRejectedError(f"Comprehend takes at most {MAX_TEXT_BYTES} bytes a text")
        client = await self._opened()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await client.detect_pii_entities(Text=text, LanguageCode=self._language)
        except TimeoutError as error:
            raise DependencyTimeoutError(f"Comprehend did not answer within {self._timeout_s} s") from error
        except DRIVER_ERRORS as error:
            raise error_in_tree(error, in_stream=False, service="Comprehend") from error
        found = [_span(entity, text) for entity in answer["Entities"] if entity["Score"] >= self._min_score]
        return tuple(sorted(found, key=lambda span: (span.start, span.end)))

    async def close(self) -> None:
        """Close the client and its connections; idempotent."""
        async with self._opening:
            self._client = None
            await self._resources.aclose()

    async def _opened(self) -> _ComprehendClient:
        async with self._opening:
            if self._client is None:
                session = self._session or AioSession()
                opening = session.create_client(
                    "comprehend",
                    region_name=self._region,
                    endpoint_url=self._endpoint_url,
                    config=AioConfig(
                        connect_timeout=self._timeout_s,
                        read_timeout=self._timeout_s + 1,
                        retries={"total_max_attempts": 1, "mode": "standard"},
                    ),
                )
                self._client = cast("_ComprehendClient", await self._resources.enter_async_context(opening))
            return self._client


def _span(entity: Mapping[str, Any], text: str) -> FlaggedSpan:
    start, end, kind = entity["BeginOffset"], entity["EndOffset"], str(entity["Type"])
    if not 0 <= start < end <= len(text):
        raise DependencyUnavailableError(f"Comprehend answered offsets {start}-{end} of {len(text)}")
    return FlaggedSpan(start=start, end=end, kind=_KINDS.get(kind, kind.lower()))
