"""Labelled pairs that the grounding model is trained and measured on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingRow:
    """A response, what it should rest on, and whether it departs from that."""

    context: str
    response: str
    is_hallucinated: bool
    source: str
