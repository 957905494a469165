"""The token budget of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ServiceLevel = Literal["full", "reduced", "minimal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPolicy:
    """Limits per session. Below `reduced_below_ratio` of the limit left: reduced; when a reservation no
    longer fits: minimal."""

    limit_tokens: int = 40_000
    reduced_below_ratio: float = 0.25
    full_reservation_tokens: int = 3_000
    reduced_reservation_tokens: int = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Tokens set aside for one answer, to be settled with the real usage."""

    reservation_id: str
    session_id: str
    level: ServiceLevel
    reserved_tokens: int
    remaining_tokens: int
