"""Patterns whose matches have a bounded length, and their prefix closures.

The prefix closure of a pattern matches every string that some continuation turns into a match: what a
stream must hold back. For an element `a` followed by `b` it is P(a) | a P(b), for n repeats of `a`
a{0,n-1} P(a), for a boundary (which only the next character decides) the empty string.
"""

from __future__ import annotations

from dataclasses import dataclass

import re2

from mangaassist.domain.errors import ConfigurationError

_ANCHORS = "AzZQEC"
_BOUNDARIES = "bB"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundedPattern:
    """A pattern in RE2 syntax, its prefix closure, and the characters that its longest match has.

    `loose` and `loose_closure` are both without upper bounds: they match more, and an automaton finds
    them many times faster because it need not count.
    """

    source: str
    closure: str
    loose: str
    loose_closure: str
    longest: int


def parse_bounded(pattern: str, *, rule_id: str = "") -> BoundedPattern:
    """Return the pattern ready for a stream; raise `ConfigurationError` saying what it may not hold."""
    reader = _Reader(pattern, rule_id or pattern)
    parsed = reader.choice()
    if reader.rest:
        reader.refuse("has a closing parenthesis too many")
    if parsed.longest == 0:
        reader.refuse("matches nothing but the empty text")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(parsed.source, options)
        re2.compile(parsed.closure, options)
    except re2.error as error:
        reader.refuse(f"is not an RE2 pattern ({error})")
    return parsed


class _Reader:
    """Recursive descent over one pattern."""

    def __init__(self, pattern: str, name: str) -> None:
        self.rest = pattern
        self._pattern = pattern
        self._name = name

    def refuse(self, problem: str) -> None:
        raise ConfigurationError(
            f"the stream rule {self._name!r} cannot be used: {self._pattern!r} {problem}"
        )

    def choice(self) -> BoundedPattern:
        options = [self._sequence()]
        while self.rest.startswith("|"):
            self.rest = self.rest[1:]
            options.append(self._sequence())
        if len(options) == 1:
            return options[0]
        return BoundedPattern(
            source="(?:" + "|".join(option.source for option in options) + ")",
            closure="(?:" + "|".join(option.closure for option in options) + ")",
            loose="(?:" + "|".join(option.loose for option in options) + ")",
            loose_closure="(?:" + "|".join(option.loose_closure for option in options) + ")",
            longest=max(option.longest for option in options),
        )

    def _sequence(self) -> BoundedPattern:
        items: list[BoundedPattern] = []
        while self.rest and self.rest[0] not in "|)":
            items.append(self._repeated(self._element()))
        closure = loose_closure = ""
        for item in reversed(items):
            # P(a b...) = P(a) | a P(b...); a's own closure holds a, so the empty P(b...) needs no case
            closure = f"(?:{item.closure}|{item.source}{closure})" if closure else item.closure
            loose_closure = (
                f"(?:{item.loose_closure}|{item.loose}{loose_closure})"
                if loose_closure
                else item.loose_closure
            )
        return BoundedPattern(
            source="".join(item.source for item in items),
            closure=closure,
            loose="".join(item.loose for item in items),
            loose_closure=loose_closure,
            longest=sum(item.longest for item in items),
        )

    def _element(self) -> BoundedPattern:
        first = self.rest[0]
        if first == "(":
            return self._group()
        if first == "[":
            return self._single(self._class_end())
        if first == "\\":
            return self._escape()
        if first in "^$":
            self.refuse("is anchored; a stream has no beginning or end that a rule may rely on")
        if first in "*+?{":
            self.refuse(f"repeats nothing at {self.rest[:10]!r}")
        return self._single(1)

    def _group(self) -> BoundedPattern:
        opening = "("
        flags = ""
        if self.rest.startswith("(?"):
            end = self.rest.find(":")
            flags = self.rest[2:end] if end > 0 else "="
            if flags not in ("", "i"):
                self.refuse(
                    "uses look-around, a named group or flags; only (...), (?:...) and (?i:...) are allowed"
                )
            opening = self.rest[: end + 1]
        self.rest = self.rest[len(opening) :]
        inner = self.choice()
        if not self.rest.startswith(")"):
            self.refuse("has an open parenthesis")
        self.rest = self.rest[1:]
        return BoundedPattern(
            source=f"(?{flags}:{inner.source})",
            closure=f"(?{flags}:{inner.closure})",
            loose=f"(?{flags}:{inner.loose})",
            loose_closure=f"(?{flags}:{inner.loose_closure})",
            longest=inner.longest,
        )

    def _escape(self) -> BoundedPattern:
        kind = self.rest[1:2]
        if kind in _BOUNDARIES and kind:
            self.rest = self.rest[2:]
            boundary = f"\\{kind}"
            return BoundedPattern(
                source=boundary, closure="(?:)", loose=boundary, loose_closure="(?:)", longest=0
            )
        if not kind or kind in _ANCHORS or kind.isdigit():
            self.refuse(f"uses {self.rest[:2]!r}; anchors, quotes and back-references are not allowed")
        braced = self.rest[2:3] == "{" and kind in "pPx"
        length = self.rest.find("}") + 1 if braced else {"x": 4, "p": 3, "P": 3}.get(kind, 2)
        return self._single(length)

    def _class_end(self) -> int:
        """Return where the class that `rest` begins with ends."""
        position = 2 if self.rest.startswith("[^") else 1
        if self.rest[position : position + 1] == "]":
            position += 1
        while position < len(self.rest) and self.rest[position] != "]":
            if self.rest.startswith("[:", position):
                position = self.rest.find(":]", position) + 1
            position += 2 if self.rest[position] == "\\" else 1
        if position >= len(self.rest):
            self.refuse("has an open character class")
        return position + 1

    def _single(self, length: int) -> BoundedPattern:
        """Return the element that takes one character, written in `length` characters of the pattern."""
        source, self.rest = self.rest[:length], self.rest[length:]
        closure = f"{source}?"
        return BoundedPattern(source=source, closure=closure, loose=source, loose_closure=closure, longest=1)

    def _repeated(self, item: BoundedPattern) -> BoundedPattern:
        if not self.rest or self.rest[0] not in "*+?{":
            return item
        low, high, length = self._bounds()
        self.rest = self.rest[length:]
        if self.rest.startswith("?"):
            # the longest match counts, whether asked for greedily or not
            self.rest = self.rest[1:]
        single = item.longest == 1 and not item.source.endswith("?")
        unit, loose = (part if single else f"(?:{part})" for part in (item.source, item.loose))
        closure = f"(?:{unit}{{0,{high - 1}}}{item.closure})" if high > 1 else item.closure
        return BoundedPattern(
            source=f"(?:{unit}{{{low},{high}}})",
            closure=closure,
            loose=f"(?:{loose}{{{low},}})" if high > 1 else f"(?:{loose}{{{low},{high}}})",
            loose_closure=f"(?:{loose}*{item.loose_closure})" if high > 1 else item.loose_closure,
            longest=item.longest * high,
        )

    def _bounds(self) -> tuple[int, int, int]:
        """Return how often at least and at most, and in how many characters that is written."""
        if self.rest[0] == "?":
            return 0, 1, 1
        end = self.rest.find("}")
        low, comma, high = self.rest[1:end].partition(",") if self.rest[0] == "{" else ("", "", "")
        if self.rest[0] in "*+" or (comma and not high):
            self.refuse(
                "repeats without a bound, so a stream would have to be held back without end; "
                "write an upper bound such as {1,40}"
            )
        if not low.isdigit() or (comma and not high.isdigit()):
            self.refuse(f"has a repeat that cannot be read at {self.rest[:10]!r}")
        most = int(high) if comma else int(low)
        if most == 0:
            self.refuse("repeats something zero times")
        return int(low), most, end + 1
