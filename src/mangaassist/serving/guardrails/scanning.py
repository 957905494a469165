"""Scan rules: bounded patterns whose leftmost-longest matches are judged, in a whole text or a stream.

The verdict on a text is defined once, here: take the leftmost match (the longest one of all rules
there, the first rule on ties), judge it, go on behind what was judged. A stream comes to the same
verdict because a match is judged only when no continuation could change which match that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import re2

from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.serving.guardrails.bounded_pattern import parse_bounded

ScanAction = Literal["redact", "block"]
CONTEXT_CHARS = 40
"""How much of the text before a match a judge may see."""

_MEMORY_BYTES = 64 << 20
_COUNTED_FROM_BYTES = 64
_NOTHING = r"[^\x{0}-\x{10ffff}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a match is: the parts of it that count (offsets within the match), and how much was judged.

    The scan goes on behind `consumed` characters, at least one.
    """

    parts: tuple[FlaggedSpan, ...] = ()
    consumed: int


Judge = Callable[[str, str], Judgement]
"""Takes up to `CONTEXT_CHARS` characters before the match, and the match. Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRule:
    """One rule: a bounded pattern (RE2 syntax) and what its matches mean; without a judge, all count."""

    id: str
    pattern: str
    action: ScanAction = "redact"
    judge: Judge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something that counts, with offsets in the whole text."""

    rule: ScanRule
    span: FlaggedSpan


def name_rule(name: str, *, rule_id: str | None = None, action: ScanAction = "block") -> ScanRule:
    """Return the rule that finds a name as whole words, without regard to case."""
    left = r"\b" if name[:1].isascii() and name[:1].isalnum() else ""
    right = r"\b" if name[-1:].isascii() and name[-1:].isalnum() else ""
    return ScanRule(
        id=rule_id or name.lower(), pattern=f"(?i:{left}{re2.escape(name)}{right})", action=action
    )


class ScanRules:
    """Rules compiled together, shared by all texts and streams.

    Raises `ConfigurationError` for a rule that could make a stream be held back without bound.
    """

    __slots__ = ("_closure", "_each", "_exact", "_loose", "_loose_closure", "longest", "rules")

    def __init__(self, rules: Sequence[ScanRule]) -> None:
        self.rules = tuple(rules)
        parsed = [parse_bounded(rule.pattern, rule_id=rule.id) for rule in self.rules]
        self.longest = max((pattern.longest for pattern in parsed), default=0)
        self._each = [_compiled(pattern.source) for pattern in parsed]
        # an empty set of rules finds nothing and holds nothing back
        self._exact = _compiled(_any_of([pattern.source for pattern in parsed]))
        self._loose = _compiled(_any_of([pattern.loose for pattern in parsed]))
        closures = [pattern.closure for pattern in parsed]
        self._closure = _compiled(_any_of([*closures, ""]) + r"\z")
        closures = [pattern.loose_closure for pattern in parsed]
        self._loose_closure = _compiled(_any_of([*closures, ""]) + r"\z")

    def scan(self, text: str) -> Iterator[Hit]:
        """Yield what counts, in order."""
        data = text.encode()
        ascii_only = len(data) == len(text)
        position = 0
        while (match := self.leftmost(data, position)) is not None:
            start, end = match
            matched = data[start:end].decode()
            first = start if ascii_only else len(data[:start].decode())
            rule, judgement = self.judge(data, start, end, text[max(0, first - CONTEXT_CHARS) : first])
            for part in judgement.parts:
                yield Hit(
                    rule=rule,
                    span=FlaggedSpan(start=first + part.start, end=first + part.end, kind=part.kind),
                )
            position = start + (
                judgement.consumed if ascii_only else len(matched[: judgement.consumed].encode())
            )

    def undecided_from(self, data: bytes, position: int) -> int:
        """Return the byte offset behind which `data` may be the beginning of a match.

        As long as that is little, without counting: what is held back a character too long is decided a
        character later, as the same.
        """
        start: int = self._loose_closure.search(data, position).start()
        if len(data) - start > min(_COUNTED_FROM_BYTES, self.longest):
            start = self._closure.search(data, position).start()
        return start

    def leftmost(self, data: bytes, position: int) -> tuple[int, int] | None:
        """Return where the first, longest match at or behind a byte offset begins and ends."""
        while (candidate := self._loose.search(data, position)) is not None:
            start: int = candidate.start()
            exact = self._exact.match(data, start)
            if exact is not None:
                return start, exact.end()
            position = start + 1
            while position < len(data) and data[position] & 0xC0 == 0x80:
                position += 1
        return None

    def judge(self, data: bytes, start: int, end: int, before: str) -> tuple[ScanRule, Judgement]:
        """Return the rule of a match and its judgement."""
        rule = self._rule_at(data, start, end)
        matched = data[start:end].decode()
        if rule.judge is not None:
            return rule, rule.judge(before, matched)
        whole = FlaggedSpan(start=0, end=len(matched), kind=rule.id)
        return rule, Judgement(parts=(whole,), consumed=len(matched))

    def _rule_at(self, data: bytes, start: int, end: int) -> ScanRule:
        if len(self.rules) > 1:
            for rule, pattern in zip(self.rules, self._each, strict=True):
                found = pattern.match(data, start)
                if found is not None and found.end() == end:
                    return rule
        return self.rules[0]


def _compiled(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.longest_match = True
    options.max_mem = _MEMORY_BYTES
    options.never_capture = True
    return re2.compile(pattern, options)


def _any_of(patterns: Sequence[str]) -> str:
    return "(?:" + "|".join(f"(?:{pattern})" for pattern in patterns) + ")" if patterns else _NOTHING
