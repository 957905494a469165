"""The real clock and the real identifiers."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware UTC wall-clock time."""
        return datetime.now(UTC)

    # that never goes backwards, and since the epoch; read thirty times a request, so without a frame
    monotonic_ns = staticmethod(time.monotonic_ns)
    time_ns = staticmethod(time.time_ns)


class RandomIds:
    """Unpredictable identifiers from the operating system's generator."""

    def trace_id(self) -> str:
        """32 hex characters."""
        return secrets.token_hex(16)

    def span_id(self) -> str:
        """16 hex characters."""
        return secrets.token_hex(8)

    def sortable(self, prefix: str) -> str:
        """A ULID: 48 bits of milliseconds, 80 random bits, Crockford base 32."""
        value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
        return prefix + "_" + "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))
