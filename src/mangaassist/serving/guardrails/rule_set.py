"""A ruleset's patterns compiled together: one linear pass finds all that match."""

from __future__ import annotations

from collections.abc import Sequence

import re2

from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.serving.guardrails.ruleset import Rule


class RuleSet:
    """Finds the strongest of its rules in a text, without regard to case."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._set = re2.Set.SearchSet()
        for rule in self._rules:
            self._set.Add("(?i)" + rule.pattern)
        if self._rules:
            self._set.Compile()

    def strongest(self, text: str) -> Rule | None:
        """Return the matching rule with the highest score, the first one on ties."""
        matched: list[int] = sorted(self._set.Match(text) or ()) if self._rules else []
        return max((self._rules[index] for index in matched), key=lambda rule: rule.score, default=None)


def span_of(rule: Rule, text: str) -> tuple[FlaggedSpan, ...]:
    """Return where a rule matches first."""
    found = re2.search("(?i)" + rule.pattern, text)
    return (FlaggedSpan(start=found.start(), end=found.end(), kind=rule.id),) if found else ()
