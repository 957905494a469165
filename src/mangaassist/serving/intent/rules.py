"""Rules for what needs no model: explicit wishes for a person, order numbers, greetings and thanks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import re2
import yaml

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.intents import Intent
from mangaassist.serving.intent.features import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRule:
    """One pattern over the whole normalised message; linear time whatever the text."""

    rule_id: str
    intent: Intent
    pattern: Any  # re2 ships no types


class IntentRules:
    """The rules of a store, tried in the order of the file."""

    def __init__(self, rules: tuple[IntentRule, ...], *, confidence: float, version: str) -> None:
        self.confidence = confidence
        self.version = version
        self._rules = rules

    def match(self, text: str) -> IntentRule | None:
        """Return the first rule that the message fulfils."""
        normalised = normalise(text)
        return next((rule for rule in self._rules if rule.pattern.search(normalised)), None)


def load_rules(path: Path) -> IntentRules:
    """Read `rules.yaml`; raise `ConfigurationError` naming the rule that is wrong."""
    try:
        content = path.read_bytes()
        document = yaml.safe_load(content)
        rules = tuple(_rule(entry) for entry in document["rules"])
        confidence = float(document["confidence"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path.name}: {error}") from error
    return IntentRules(rules, confidence=confidence, version=hashlib.sha256(content).hexdigest()[:8])


def _rule(entry: dict[str, str]) -> IntentRule:
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile("".join(entry["pattern"].split("\n")), options)
    except re2.error as error:
        raise ValueError(f"rule {entry['id']!r}: {error}") from error
    return IntentRule(rule_id=entry["id"], intent=Intent(entry["intent"]), pattern=pattern)
