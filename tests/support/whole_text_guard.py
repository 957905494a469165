"""What every stream of a text must end as: the same rules over the whole of it."""

from __future__ import annotations

from mangaassist.serving.guardrails.scanning import ScanRules
from mangaassist.serving.guardrails.streaming import Replacement


def guard_whole(
    text: str, rules: ScanRules, replacement: Replacement | None = None
) -> tuple[str, str | None]:
    """Return the guarded text up to a violation, and the violation: what every stream of `text` ends as."""
    replace = replacement or (lambda kind, found: f"[{kind}]")
    out: list[str] = []
    position = 0
    for hit in rules.scan(text):
        span = hit.span
        new = replace(span.kind, text[span.start : span.end])
        if new is None:
            continue
        if hit.rule.action == "block":
            return "".join(out) + text[position : span.start], hit.rule.id
        out += (text[position : span.start], new)
        position = span.end
    return "".join(out) + text[position:], None
