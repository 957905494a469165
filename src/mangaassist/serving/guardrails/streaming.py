"""The stream guard: releases only text that cannot be the beginning of a forbidden name.

Exact for literal names: held back is the longest suffix that some continuation could turn into a
match, so that a violation is seen before its first character is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


class StreamRules:
    """Forbidden names, compiled once and shared by all streams."""

    __slots__ = ("longest", "pattern", "prefixes")

    def __init__(self, names: Iterable[str]) -> None:
        lowered = sorted({name.lower() for name in names if name}, key=lambda name: (-len(name), name))
        self.prefixes = frozenset(name[:end] for name in lowered for end in range(1, len(name) + 1))
        self.longest = max((len(name) for name in lowered), default=0)
        alternatives = "|".join(re.escape(name) for name in lowered)
        # a match needs its next character: at the end of the buffer it stays undecided and held back
        self.pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?=\W)") if lowered else None


class StreamGuard:
    """Guards one stream; not shared between streams."""

    __slots__ = ("_before", "_held", "_rules", "violation")

    def __init__(self, rules: StreamRules) -> None:
        self._rules = rules
        self._held = ""
        self._before = " "  # the last released character: decides whether a word begins at the buffer's start
        self.violation: str | None = None

    def feed(self, text: str) -> str:
        """Take a piece of the stream and return what may be shown now; nothing after a violation."""
        if self.violation is not None:
            return ""
        self._held += text
        if self._rules.pattern is None:
            return self._release(len(self._held))
        return self._advance(self._held)

    def finish(self) -> str:
        """Return the rest; the end of the text counts as the end of a word."""
        if self.violation is not None:
            return ""
        if self._rules.pattern is not None and self._match(self._held + " "):
            return ""
        return self._release(len(self._held))

    def _advance(self, buffer: str) -> str:
        if self._match(buffer):
            return ""
        return self._release(len(buffer) - self._viable_suffix(buffer))

    def _match(self, buffer: str) -> bool:
        assert self._rules.pattern is not None
        found = self._rules.pattern.search(self._before + lowered(buffer), 1)
        if found is not None:
            self.violation = found.group()
        return found is not None

    def _viable_suffix(self, buffer: str) -> int:
        """Length of the longest suffix that begins a word and is the beginning of a name."""
        text = lowered(buffer)
        for length in range(min(self._rules.longest, len(text)), 0, -1):
            start = len(text) - length
            before = text[start - 1] if start else self._before
            if text[start:] in self._rules.prefixes and not _is_word(before):
                return length
        return 0

    def _release(self, count: int) -> str:
        out, self._held = self._held[:count], self._held[count:]
        if out:
            self._before = out[-1]
        return out


def lowered(text: str) -> str:
    """Lower case that keeps every offset (characters that would grow stay as they are)."""
    low = text.lower()
    if len(low) == len(text):
        return low
    return "".join(character if len(character.lower()) != 1 else character.lower() for character in text)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
