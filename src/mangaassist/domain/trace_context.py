"""The W3C trace context of a request: `traceparent` and `baggage`, read, continued and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

MAX_BAGGAGE_MEMBERS: Final = 64
MAX_BAGGAGE_BYTES: Final = 4_096

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace_id>(?!0{32})[0-9a-f]{32})-(?P<parent_id>(?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)
# RFC 7230 token, which a baggage key has to be
_KEY: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNQUOTED: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """What an outgoing call says of the request it belongs to."""

    trace_id: str
    span_id: str
    baggage: Mapping[str, str] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """Return the W3C headers; `baggage` is left out when there is none."""
        headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-01"}
        if self.baggage:
            headers["baggage"] = format_baggage(self.baggage)
        return headers


def parse_traceparent(header: str | None) -> tuple[str, str] | None:
    """Return (trace id, parent span id) of a W3C `traceparent`, or None when absent or malformed."""
    match = _TRACEPARENT.fullmatch(header.strip().lower()) if header else None
    return (match["trace_id"], match["parent_id"]) if match else None


def started_here(trace_id: str) -> str:
    """Return the `traceparent` of a trace that begins at this service.

    Nobody called us, so the parent is made of the trace id and `remote_parent` knows that it is nobody's.
    """
    return f"00-{trace_id}-{_nobody(trace_id)}-01"


def remote_parent(context: tuple[str, str] | None) -> str | None:
    """Return the caller's span id, or None for a trace that began here."""
    if context is None or context[1] == _nobody(context[0]):
        return None
    return context[1]


def _nobody(trace_id: str) -> str:
    # not the second half, which Zipkin gives the first span of a trace; a zero is no span id
    return trace_id[:16] if trace_id[:16].strip("0") else trace_id[:15:-1]


def parse_baggage(header: str | None) -> dict[str, str]:
    """Return the members of a W3C `baggage` header, without properties and without what is malformed."""
    members: dict[str, str] = {}
    if not header or len(header) > 2 * MAX_BAGGAGE_BYTES:
        return members
    for part in header.split(",")[:MAX_BAGGAGE_MEMBERS]:
        key, equals, value = part.partition(";")[0].partition("=")
        if equals and _KEY.fullmatch(key.strip()):
            members[key.strip()] = unquote(value.strip(), errors="replace")
    return members


def format_baggage(members: Mapping[str, str]) -> str:
    """Return the header of the members, in their order, as many as its bounds allow."""
    parts: list[str] = []
    left = MAX_BAGGAGE_BYTES
    for key, value in list(members.items())[:MAX_BAGGAGE_MEMBERS]:
        part = f"{key}={quote(value, safe=_UNQUOTED)}"
        left -= len(part) + 1
        if left < 0:
            break
        parts.append(part)
    return ",".join(parts)
