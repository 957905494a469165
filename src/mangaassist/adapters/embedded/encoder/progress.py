"""What a fetch tells whoever shows a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["waiting", "downloading", "verifying", "converting", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchProgress:
    """How far a fetch is; `total_bytes` is None while it is not known."""

    phase: Phase
    source: str = ""
    done_bytes: int = 0
    total_bytes: int | None = None


Report = Callable[[FetchProgress], None]
