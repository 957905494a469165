"""The stream guard: releases only text that no continuation can turn into a part of a match.

After each piece everything before the leftmost *viable prefix* (a suffix of what is held that some
continuation completes to a match) is decided, and nothing after it is. So released text never belongs
to a match, and verdict and text are those of the whole text however it was cut into pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mangaassist.serving.guardrails.scanning import (
    CONTEXT_CHARS,
    Judgement,
    ScanRule,
    ScanRules,
    name_rule,
)

Replacement = Callable[[str, str], str | None]
"""Takes a kind and the text found; returns what stands in its place, or None to let it stand."""


class StreamRules(ScanRules):
    """What a stream is guarded against: names that block, and further rules; shared by all streams."""

    __slots__ = ()

    def __init__(self, names: Iterable[str] = (), rules: Sequence[ScanRule] = ()) -> None:
        super().__init__([*(name_rule(name) for name in dict.fromkeys(names) if name), *rules])


class StreamGuard:
    """Guards one stream; not shared between streams.

    `violation` names the rule that blocked: from then on nothing is released. `redactions` counts what
    was replaced.
    """

    __slots__ = ("_before", "_held", "_replacement", "_rules", "redactions", "violation")

    def __init__(self, rules: ScanRules, replacement: Replacement | None = None) -> None:
        self._rules = rules
        self._replacement = replacement or _by_kind
        self._held = b""
        self._before = ""  # the original text before `_held`, as much as a judge may see
        self.violation: str | None = None
        self.redactions = 0

    @property
    def held_chars(self) -> int:
        """How many characters wait for what follows."""
        return len(self._held.decode())

    def feed(self, text: str) -> str:
        """Take a piece of the stream and return what may be shown now; nothing after a violation."""
        if self.violation is not None:
            return ""
        self._held += text.encode()
        return self._advance(final=False)

    def finish(self) -> str:
        """Return the rest: the end of the text decides what was open."""
        if self.violation is not None or not self._held:
            return ""
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        rules = self._rules
        out: list[str] = []
        while True:
            lead = _boundary_byte(self._before)
            data = lead + self._held
            undecided = len(data) if final else rules.undecided_from(data, len(lead))
            if undecided == len(lead):
                return "".join(out)
            match = rules.leftmost(data, len(lead))
            if match is None or match[0] >= undecided:
                out.append(self._release(undecided - len(lead)))
                return "".join(out)
            start, end = match
            out.append(self._release(start - len(lead)))
            rule, judgement = rules.judge(data, start, end, self._before)
            matched = data[start:end].decode()
            out.append(self._act(rule, judgement, matched))
            if self.violation is not None:
                return "".join(out)

    def _act(self, rule: ScanRule, judgement: Judgement, matched: str) -> str:
        """Return what is shown of a match and go on behind what was judged of it."""
        taken = matched[: judgement.consumed]
        self._drop(taken)
        pieces: list[str] = []
        position = 0
        for part in judgement.parts:
            replacement = self._replacement(part.kind, matched[part.start : part.end])
            if replacement is None:
                continue
            if rule.action == "block":
                self.violation = rule.id
                self._held = b""
                return "".join(pieces) + taken[position : part.start]
            self.redactions += 1
            pieces += (taken[position : part.start], replacement)
            position = part.end
        return "".join(pieces) + taken[position:]

    def _release(self, size: int) -> str:
        released = self._held[:size].decode()
        self._drop(released)
        return released

    def _drop(self, text: str) -> None:
        """Move the beginning of what is held behind us."""
        self._held = self._held[len(text.encode()) :]
        self._before = (self._before + text)[-CONTEXT_CHARS:]


def _by_kind(kind: str, text: str) -> str:
    return f"[{kind}]"


def _boundary_byte(before: str) -> bytes:
    """What stands before the text as far as a word boundary is concerned, which knows ASCII only."""
    last = before[-1:]
    return last.encode() if last.isascii() else b" "
