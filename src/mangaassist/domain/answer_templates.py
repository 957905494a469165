"""Versioned answers that need no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateCase:
    """Wordings for one situation; `when` is a Jinja2 expression, None holds always."""

    bodies: tuple[str, ...]
    when: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTemplate:
    """One `templates/<name>.yaml`; the first case that holds answers.

    `parts` are named wordings that bodies include with `part(name, ...)`.
    """

    name: str
    version: str
    author: str
    date: date
    description: str
    cases: tuple[TemplateCase, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def template_version(self) -> str:
        """The version as written on traces and answers, e.g. `template/chitchat-1.0`."""
        return f"template/{self.name}-{self.version}"
