"""Texts of which it is known whether they are attacks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """One text, whether it is an attack, and where it comes from."""

    text: str
    is_attack: bool
    source: str
