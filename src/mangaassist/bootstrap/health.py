"""The health of one port, as `doctor` and the health page show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class PortHealth:
    """What implements a port and how it is; `detail` says what a missing component would unlock."""

    port: str
    adapter: str
    state: Literal["ready", "degraded", "down", "off"]
    detail: str = ""
