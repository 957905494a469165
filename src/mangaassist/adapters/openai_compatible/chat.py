"""Any OpenAI-compatible endpoint as a text model, over streamed chat completions."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import orjson

from mangaassist.adapters.openai_compatible.http import HttpPool, HttpResponse, HttpTimeouts
from mangaassist.adapters.openai_compatible.sse import ChatStreamParser
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyError,
    DependencyRejectedError,
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
from mangaassist.domain.throttling import throttled
from mangaassist.domain.token_estimates import estimated_usage

PROVIDER: Final = "openai_compatible"

_STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "guardrail",
    "error": "error",
}
_REFUSED_FOR_GOOD: Final = frozenset(
    {"insufficient_quota", "invalid_request_error", "authentication_error", "permission_error"}
)
_LONGEST_ERROR: Final = 16 * 1024
_LONGEST_DETAIL: Final = 200


class OpenAICompatibleTextModel:
    """Streams answers from `{base_url}/chat/completions` with our own HTTP client and parser.

    All text of one socket read becomes one `TextDelta`.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None = None,
        timeouts: HttpTimeouts | None = None,
        max_idle_connections: int = 32,
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise ConfigurationError("the API key has characters that no HTTP header can carry")
        self._http = HttpPool(
            base_url, timeouts=timeouts or HttpTimeouts(), max_idle=max_idle_connections, tls=tls
        )
        self._max_tokens_field = max_tokens_field
        self._headers = (
            "Content-Type: application/json\r\nAccept: text/event-stream\r\n"
            "Accept-Encoding: identity\r\nUser-Agent: mangaassist\r\n"
        ) + (f"Authorization: Bearer {api_key}\r\n" if api_key else "")

    @property
    def provider(self) -> str:
        """Name written on the `bedrock_generate` span."""
        return PROVIDER

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        """Generate as a stream; see `TextModel` for what is promised."""
        response = await self._http.post(
            "/chat/completions", headers=self._headers + _trace_headers(request), body=self._body(request)
        )
        parser = ChatStreamParser()
        try:
            if response.status != 200:
                raise await _error_of(response)
            while not parser.done:
                data = await _next_data(response, parser)
                text = parser.feed(data) if data else parser.end()
                if text:
                    yield TextDelta(text=text)
                if parser.error is not None:
                    raise _error_in_stream(parser.error)
                if not data:
                    break
            yield _finished(request, parser)
        finally:
            response.release(reusable=parser.done)

    async def close(self) -> None:
        """Drop the kept connections; idempotent."""
        await self._http.close()

    def _body(self, request: GenerationRequest) -> bytes:
        parameters = request.parameters
        messages = [{"role": message.role, "content": message.text} for message in request.messages]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        body: dict[str, Any] = {
            "model": request.model_id,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": parameters.temperature,
            self._max_tokens_field: parameters.max_tokens,
        }
        if parameters.top_p is not None:
            body["top_p"] = parameters.top_p
        if parameters.stop_sequences:
            body["stop"] = list(parameters.stop_sequences)
        try:
            return orjson.dumps(body)
        except TypeError as error:
            raise DependencyRejectedError(f"the prompt cannot be sent as JSON: {error}") from error


def _trace_headers(request: GenerationRequest) -> str:
    """Return the header lines that join the endpoint's spans to our trace."""
    headers = request.context.headers() if request.context is not None else {}
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


async def _next_data(response: HttpResponse, parser: ChatStreamParser) -> bytes:
    """Return the next bytes; a failure after the whole text has arrived is an end like any other."""
    try:
        return await response.read_some()
    except DependencyError:
        if parser.is_complete:
            return b""
        raise


def _finished(request: GenerationRequest, parser: ChatStreamParser) -> GenerationFinished:
    if not parser.is_complete:
        raise DependencyUnavailableError("the stream ended without [DONE] and without finish_reason")
    usage = _reported_usage(parser.usage)
    return GenerationFinished(
        stop_reason=_STOP_REASONS.get(str(parser.finish_reason), "end_turn"),
        usage=usage or estimated_usage(request, output_characters=parser.characters),
        model_id=request.model_id,
        provider=PROVIDER,
    )


def _reported_usage(usage: Any) -> TokenUsage | None:
    """Return the usage of the last chunk; `prompt_tokens` there includes the cached ones."""
    if not isinstance(usage, dict) or not usage.get("completion_tokens"):
        return None
    try:
        cached = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
        return TokenUsage(
            input_tokens=max(0, int(usage.get("prompt_tokens") or 0) - cached),
            output_tokens=int(usage["completion_tokens"]),
            cached_input_tokens=cached,
        )
    except (AttributeError, TypeError, ValueError):
        return None  # not the documented shape: estimate rather than guess


async def _error_of(response: HttpResponse) -> DependencyError:
    """Return the error that the status and body of a refused call say."""
    try:
        body = await response.read_all(_LONGEST_ERROR)
    except DependencyError:
        body = b""
    kind, detail = _kind_and_detail(body)
    status = response.status
    message = f"the endpoint answered {status} {kind}: {detail}".rstrip(": ")
    wait_s = _retry_after_s(response.headers)
    if kind == "insufficient_quota":
        return DependencyRejectedError(message)
    if status in (425, 429, 529) or (status == 503 and wait_s is not None):
        return throttled(message, retry_after_s=wait_s)
    if status in (408, 504):
        return DependencyTimeoutError(message)
    if status >= 500:
        return DependencyUnavailableError(message)
    return DependencyRejectedError(message)


def _error_in_stream(reported: Any) -> DependencyError:
    """Return the error that a chunk of the stream reports; its HTTP status was 200."""
    kind, detail = _kind_and_detail(orjson.dumps({"error": reported}))
    message = f"the endpoint reported {kind or 'an error'} inside the stream: {detail}"
    if kind in _REFUSED_FOR_GOOD:
        return DependencyRejectedError(message)
    if "rate_limit" in kind or "overloaded" in kind or kind == "429":
        return throttled(message, retry_after_s=None)
    return DependencyUnavailableError(message)


def _kind_and_detail(body: bytes) -> tuple[str, str]:
    """Return what an error body calls itself and what it says, shortened."""
    try:
        reported = orjson.loads(body)
    except ValueError:
        return "", body[:_LONGEST_DETAIL].decode("utf-8", "replace")
    if isinstance(reported, dict):
        reported = reported.get("error", reported)
    if not isinstance(reported, dict):
        return "", str(reported)[:_LONGEST_DETAIL]
    kind = str(reported.get("code") or reported.get("type") or "")
    return kind[:_LONGEST_DETAIL], str(reported.get("message") or "")[:_LONGEST_DETAIL]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the server wants to be left alone; a date counts from its own `Date`."""
    value = headers.get("retry-after", "")
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())
