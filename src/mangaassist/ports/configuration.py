"""Runtime configuration that changes without a deployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDocument:
    """One version of the configuration: parsed content, its hash, and the last problem, if any."""

    content: dict[str, object]
    version: str
    problem: str | None = None


class ConfigurationSource(Protocol):
    """A watched document.

    Every implementation promises: `current` never blocks and always returns the last good document; a
    change is seen within a second; a broken change keeps the last good one and sets `problem`; the last
    good one survives a restart.
    """

    def current(self) -> ConfigurationDocument:
        """Return the last good document."""
        ...

    def subscribe(self, listener: Callable[[ConfigurationDocument], None]) -> None:
        """Call `listener` after every change; a listener that raises marks the document as bad."""
        ...

    async def run(self) -> None:
        """Watch until cancelled."""
        ...
