"""Time and identifiers, passed in so that nothing reads them on its own."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The current time."""

    def now(self) -> datetime:
        """Aware UTC wall-clock time."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go backwards; for durations."""
        ...

    def time_ns(self) -> int:
        """Nanoseconds since the epoch; for span times."""
        ...


class IdFactory(Protocol):
    """Fresh identifiers that sort by time."""

    def trace_id(self) -> str:
        """32 lower-case hex characters (W3C trace id)."""
        ...

    def span_id(self) -> str:
        """16 lower-case hex characters (W3C span id)."""
        ...

    def sortable(self, prefix: str) -> str:
        """`prefix` + '_' + a 26-character time-sortable id (ULID)."""
        ...
