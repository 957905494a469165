"""Guardrail rulesets: versioned data with modes, thresholds, failure policies and patterns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

import orjson
import re2
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mangaassist.domain.chat import Channel
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.guardrails import FailurePolicy, StageMode
from mangaassist.domain.intents import Intent
from mangaassist.serving.guardrails.bounded_pattern import parse_bounded

Ratio = Annotated[float, Field(ge=0, le=1)]


class Rule(BaseModel):
    """One pattern (RE2 syntax, matched case-insensitively) with the score of a match."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    pattern: str = Field(min_length=1)
    score: Ratio = 1.0

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re2.compile("(?i)" + pattern)
        except re2.error as error:
            raise ValueError(f"not an RE2 pattern: {error}") from error
        return pattern


class BoundedRule(BaseModel):
    """A pattern that no answer may hold, guarded while the answer streams: its matches must be bounded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    pattern: str = Field(min_length=1)

    @model_validator(mode="after")
    def _is_bounded(self) -> BoundedRule:
        try:
            parse_bounded(self.pattern, rule_id=self.id)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return self


class ChannelThresholds(BaseModel):
    """The thresholds of one channel, where they differ."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: Ratio | None = None
    by_intent: dict[Intent, Ratio] = Field(default_factory=dict)


class StagePolicy(BaseModel):
    """How one stage is run and what it enforces.

    The stage acts when its score reaches the threshold: the one for the channel and intent, else for the
    intent, else for the channel, else the general one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: StageMode = "enforce"
    threshold: Ratio = 0.5
    thresholds_by_intent: dict[Intent, Ratio] = Field(default_factory=dict)
    thresholds_by_channel: dict[Channel, ChannelThresholds] = Field(default_factory=dict)
    failure_policy: FailurePolicy = "open"
    timeout_ms: float = Field(default=200, gt=0)
    max_chars: int | None = Field(default=None, ge=1)
    max_words: int | None = Field(default=None, ge=1)
    rules: tuple[Rule, ...] = ()
    names: tuple[str, ...] = ()
    patterns: tuple[BoundedRule, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    """Hosts of the store's own links and e-mail addresses."""

    def threshold_for(self, intent: Intent | None, channel: Channel | None = None) -> float:
        """The most specific threshold that is set."""
        own = self.thresholds_by_channel.get(channel) if channel else None
        if intent is not None:
            if own is not None and intent in own.by_intent:
                return own.by_intent[intent]
            if intent in self.thresholds_by_intent:
                return self.thresholds_by_intent[intent]
        return self.threshold if own is None or own.threshold is None else own.threshold


class Ruleset(BaseModel):
    """All stages' policies; `version` ends in the hash of the content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    stages: dict[str, StagePolicy]

    @property
    def version(self) -> str:
        """`name` plus the hash of everything in it."""
        canonical = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return f"{self.name}-{hashlib.sha256(canonical).hexdigest()[:8]}"


def parse_ruleset(content: Mapping[str, object]) -> Ruleset:
    """Check a ruleset document; raise `ConfigurationError` naming every wrong field."""
    try:
        return Ruleset.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors()
        )
        raise ConfigurationError(f"the guardrail ruleset cannot be used: {problems}") from error
