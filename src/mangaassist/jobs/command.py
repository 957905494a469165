"""How a child process is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A child process: its arguments and what its environment has besides ours."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
