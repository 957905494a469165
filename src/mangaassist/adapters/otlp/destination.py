"""Any OTLP/HTTP backend as a destination of traces."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence

import httpx

from mangaassist.adapters.otlp.messages import export_request
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyRejectedError,
    DependencyThrottledError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.trace import RemoteSpans, Trace


class OtlpDestination:
    """A `TraceDestination`: one compressed protobuf request a batch; the protocol has no way to read back."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        timeout_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        base = url.rstrip("/")
        self._url = base if base.endswith("/v1/traces") else f"{base}/v1/traces"
        self._http = httpx.Client(
            timeout=timeout_s,
            trust_env=False,
            transport=transport,
            headers={**headers, "content-type": "application/x-protobuf", "content-encoding": "gzip"},
        )

    def connect(self) -> None:
        """Nothing to prepare: every request stands for itself."""

    def reconnect(self) -> None:
        """Nothing is remembered."""

    def send(self, traces: Sequence[Trace], remote: Sequence[RemoteSpans]) -> int:
        """Deliver traces; documents have no place in OTLP."""
        try:
            content = export_request(traces, remote)
        except ValueError as error:
            raise DependencyRejectedError(f"not a trace that OTLP can carry: {error}") from error
        try:
            answer = self._http.post(self._url, content=gzip.compress(content, 1))
        except httpx.TimeoutException as error:
            raise DependencyTimeoutError("the OTLP backend did not answer in time") from error
        except httpx.HTTPError as error:
            raise DependencyUnavailableError(f"the OTLP backend cannot be reached: {error}") from error
        if answer.status_code >= 300:
            detail = f"the OTLP backend answered {answer.status_code}: {answer.text[:200]}"
            if answer.status_code == 429:
                raise DependencyThrottledError(detail)
            if answer.status_code in (400, 413, 422):
                raise DependencyRejectedError(detail)
            raise DependencyUnavailableError(detail)
        return sum(bool(trace.artifacts) for trace in traces)

    def verify(self, traces: Sequence[Trace]) -> int:
        """Nothing can be read back: none is verified."""
        return 0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers of `name=value,name=value`; raises `ConfigurationError`."""
    headers: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isascii():
            raise ConfigurationError("MANGAASSIST_OTLP_HEADERS must be 'name=value,name=value'")
        headers[name.strip()] = value.strip()
    return headers
