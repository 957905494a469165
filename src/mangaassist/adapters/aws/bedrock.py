"""Amazon Bedrock as a text model, over Converse and ConverseStream."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from mangaassist.adapters.aws.bedrock_errors import DRIVER_ERRORS, error_in_tree
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.generation import (
    GenerationEvent,
    GenerationFinished,
    GenerationRequest,
    StopReason,
    TextDelta,
    TokenUsage,
)
from mangaassist.domain.token_estimates import estimated_usage
from mangaassist.domain.trace_context import TraceContext

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession
except ImportError as error:
    raise ConfigurationError("`aiobotocore` is not installed; install the `aws` extra") from error

PROVIDER: Final = "bedrock"
# what Converse accepts in `requestMetadata`
_METADATA: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_MOST_METADATA: Final = 16

_STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "guardrail",
    "content_filtered": "guardrail",
}


class _EventStream(Protocol):
    """The part of aiobotocore's event stream that is used here."""

    def __aiter__(self) -> AsyncIterator[Mapping[str, Any]]: ...
    def close(self) -> None: ...


class _BedrockClient(Protocol):
    """The part of the Bedrock runtime client that is used here."""

    async def converse(self, **arguments: Any) -> Mapping[str, Any]: ...
    async def converse_stream(self, **arguments: Any) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockTimeouts:
    """How long Bedrock may stay silent, by phase of a call."""

    connect_s: float = 2.0
    first_byte_s: float = 10.0
    idle_s: float = 10.0
    complete_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedText:
    """A whole answer from a call that did not stream."""

    text: str
    finished: GenerationFinished


class BedrockTextModel:
    """Streams answers from Bedrock through one long-lived client, opened at the first call.

    botocore's own retries are off: retrying is decided once, in `serving.generation`.
    """

    def __init__(
        self,
        *,
        region: str,
        endpoint_url: str | None = None,
        timeouts: BedrockTimeouts | None = None,
        max_connections: int = 64,
        session: AioSession | None = None,
    ) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._timeouts = timeouts or BedrockTimeouts()
        self._max_connections = max_connections
        self._session = session
        self._resources = AsyncExitStack()
        self._client: _BedrockClient | None = None
        self._opening = asyncio.Lock()  # invariant: at most one client is ever open

    @property
    def provider(self) -> str:
        """Name written on the `bedrock_generate` span."""
        return PROVIDER

    async def open(self) -> None:
        """Build the client ahead of the first call, which otherwise pays for it; idempotent."""
        await self._opened()

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        """Generate through ConverseStream; see `TextModel` for what is promised."""
        arguments = converse_arguments(request)
        try:
            client = await self._opened()
            async with asyncio.timeout(self._timeouts.first_byte_s):
                response = await client.converse_stream(**arguments)
        except TimeoutError as error:
            raise DependencyTimeoutError(
                f"Bedrock sent no response within {self._timeouts.first_byte_s} s"
            ) from error
        except DRIVER_ERRORS as error:
            raise error_in_tree(error, in_stream=False) from error

        frames = cast("_EventStream", response["stream"])
        iterator = aiter(frames)
        answer = _StreamedAnswer(request)
        limit_s = self._timeouts.first_byte_s
        try:
            while (event := await _next_frame(iterator, answer, limit_s)) is not None:
                limit_s = self._timeouts.idle_s
                text = answer.accept(event)
                if text:
                    yield TextDelta(text=text)
            yield answer.finished()
        finally:
            frames.close()

    async def complete(self, request: GenerationRequest) -> CompletedText:
        """Generate through Converse and return the whole answer; for batch work."""
        arguments = converse_arguments(request)
        try:
            client = await self._opened()
            async with asyncio.timeout(self._timeouts.complete_s):
                response = await client.converse(**arguments)
        except TimeoutError as error:
            raise DependencyTimeoutError(
                f"Bedrock did not answer within {self._timeouts.complete_s} s"
            ) from error
        except DRIVER_ERRORS as error:
            raise error_in_tree(error, in_stream=False) from error
        blocks = response.get("output", {}).get("message", {}).get("content", ())
        text = "".join(block.get("text", "") for block in blocks)
        return CompletedText(
            text=text,
            finished=_finished(request, response.get("stopReason"), response.get("usage"), len(text)),
        )

    async def close(self) -> None:
        """Close the client and its connections; idempotent."""
        async with self._opening:
            self._client = None
            await self._resources.aclose()

    async def _opened(self) -> _BedrockClient:
        if self._client is not None:
            return self._client
        async with self._opening:
            if self._client is None:
                client: _BedrockClient = await self._resources.enter_async_context(self._new_client())
                self._client = client
            return self._client

    def _new_client(self) -> Any:
        timeouts = self._timeouts
        # The read timeout is only a backstop behind our own, which know the phase of the call.
        silence_s = max(timeouts.first_byte_s, timeouts.idle_s, timeouts.complete_s) + 5
        config = AioConfig(
            connect_timeout=timeouts.connect_s,
            read_timeout=silence_s,
            max_pool_connections=self._max_connections,
            retries={"total_max_attempts": 1, "mode": "standard"},
            tcp_keepalive=True,
        )
        session = self._session or AioSession()
        return session.create_client(
            "bedrock-runtime",
            region_name=self._region,
            endpoint_url=self._endpoint_url,
            config=config,
        )


class _StreamedAnswer:
    """What the frames have said so far about one answer."""

    __slots__ = ("_characters", "_request", "_stop_reason", "_usage")

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        self._characters = 0
        self._stop_reason: str | None = None
        self._usage: Mapping[str, Any] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the model said that its text is over."""
        return self._stop_reason is not None

    def accept(self, event: Mapping[str, Any]) -> str:
        """Take one frame and return the text in it, if any."""
        if "contentBlockDelta" in event:
            text = cast("str", event["contentBlockDelta"].get("delta", {}).get("text", ""))
            self._characters += len(text)
            return text
        if "messageStop" in event:
            self._stop_reason = event["messageStop"].get("stopReason", "end_turn")
        elif "metadata" in event:
            self._usage = event["metadata"].get("usage")
        return ""

    def finished(self) -> GenerationFinished:
        """Return the last event, or raise when the stream ended before the text did."""
        if not self.is_complete:
            raise DependencyUnavailableError("Bedrock ended the stream before `messageStop`")
        return _finished(self._request, self._stop_reason, self._usage, self._characters)


async def _next_frame(
    iterator: AsyncIterator[Mapping[str, Any]], answer: _StreamedAnswer, limit_s: float
) -> Mapping[str, Any] | None:
    """Return the next frame, or None at the end.

    A failure after the whole text has arrived is an end too: only the usage may be missing then.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await anext(iterator)
    except StopAsyncIteration:
        return None
    except TimeoutError as error:
        if answer.is_complete:
            return None
        raise DependencyTimeoutError(f"Bedrock fell silent for {limit_s} s") from error
    except DRIVER_ERRORS as error:
        if answer.is_complete:
            return None
        raise error_in_tree(error, in_stream=True) from error


def converse_arguments(request: GenerationRequest) -> dict[str, Any]:
    """Return the arguments that Converse and ConverseStream share.

    The stable system prefix comes first and, with `cache_prefix`, ends in a cache point.
    """
    parameters = request.parameters
    inference: dict[str, Any] = {
        "maxTokens": parameters.max_tokens,
        "temperature": parameters.temperature,
    }
    if parameters.top_p is not None:
        inference["topP"] = parameters.top_p
    if parameters.stop_sequences:
        inference["stopSequences"] = list(parameters.stop_sequences)
    arguments: dict[str, Any] = {
        "modelId": request.model_id,
        "messages": _alternating_messages(request),
        "inferenceConfig": inference,
    }
    if request.system:
        system: list[dict[str, Any]] = [{"text": request.system}]
        if request.cache_prefix:
            system.append({"cachePoint": {"type": "default"}})
        arguments["system"] = system
    if request.context is not None:
        arguments["requestMetadata"] = _metadata(request.context)
    return arguments


def _metadata(context: TraceContext) -> dict[str, str]:
    """Return what the invocation log keeps beside the call: Bedrock takes no headers of ours."""
    members = {"trace_id": context.trace_id, **context.baggage}
    return {
        key: value
        for key, value in list(members.items())[:_MOST_METADATA]
        if _METADATA.fullmatch(key) and _METADATA.fullmatch(value)
    }


def _alternating_messages(request: GenerationRequest) -> list[dict[str, Any]]:
    """Shape the turns as Converse demands: no blank text, user first, roles alternating."""
    shaped: list[dict[str, Any]] = []
    for message in request.messages:
        if not message.text.strip() or (not shaped and message.role == "assistant"):
            continue
        if shaped and shaped[-1]["role"] == message.role:
            shaped[-1]["content"].append({"text": message.text})
        else:
            shaped.append({"role": message.role, "content": [{"text": message.text}]})
    return shaped


def _finished(
    request: GenerationRequest,
    stop_reason: str | None,
    usage: Mapping[str, Any] | None,
    characters: int,
) -> GenerationFinished:
    return GenerationFinished(
        stop_reason=_STOP_REASONS.get(stop_reason or "", "error"),
        usage=_reported_usage(usage) if usage else estimated_usage(request, output_characters=characters),
        model_id=request.model_id,
        provider=PROVIDER,
    )


def _reported_usage(usage: Mapping[str, Any]) -> TokenUsage:
    # Bedrock's inputTokens already excludes what was read from or written to the cache.
    return TokenUsage(
        input_tokens=usage.get("inputTokens", 0),
        output_tokens=usage.get("outputTokens", 0),
        cached_input_tokens=usage.get("cacheReadInputTokens", 0),
        cache_write_tokens=usage.get("cacheWriteInputTokens", 0),
    )
