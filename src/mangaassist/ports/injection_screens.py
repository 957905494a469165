"""Other detectors of prompt injection than our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenResult:
    """What a detector says of a text: 0 (harmless) to 1 (attack), and under which name it reports."""

    score: float
    rule_id: str


class InjectionScreen(Protocol):
    """Judges whether a text attacks the assistant's instructions.

    Promises: one score for the whole text however long it is; raises `DependencyError` when it cannot
    answer.
    """

    async def screen(self, text: str) -> ScreenResult:
        """Return the judgement."""
        ...
