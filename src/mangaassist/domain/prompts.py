"""Versioned prompts and the prompt that was built from one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from mangaassist.domain.generation import AnswerLimits, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class FewShotExample:
    """A question and a model answer shown to the model."""

    user: str
    assistant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplate:
    """One `prompts/<intent>/v<version>.yaml`. `system` and `user` are Jinja2 sources."""

    intent: str
    version: str
    author: str
    date: date
    description: str
    system: str
    user: str
    eval_run_id: str | None = None
    limits: AnswerLimits = field(default_factory=AnswerLimits)
    examples: tuple[FewShotExample, ...] = ()

    @property
    def prompt_version(self) -> str:
        """The version as written on traces and answers, e.g. `recommendation-1.0`."""
        return f"{self.intent}-{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPrompt:
    """A rendered prompt: stable system prefix first, then history and the user's turn."""

    prompt_version: str
    system: str
    messages: tuple[Message, ...]
    limits: AnswerLimits
    prompt_hash: str
    system_prompt_hash: str
    template_hash: str
    prompt_chars: int
    cacheable_prefix_tokens: int
    prefix_qualifies_for_caching: bool
