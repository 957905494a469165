"""Replacing several, possibly overlapping, spans of one text without corrupting offsets."""

from __future__ import annotations

from collections.abc import Iterable

from mangaassist.domain.guardrails import FlaggedSpan


def splice(text: str, pieces: Iterable[tuple[FlaggedSpan, str]]) -> str:
    """Return `text` with every span replaced; overlapping spans become the longest one's."""
    merged: list[tuple[int, int, int, str]] = []
    for span, replacement in sorted(pieces, key=lambda piece: (piece[0].start, -piece[0].end)):
        length = span.end - span.start
        if merged and span.start < merged[-1][1]:
            start, end, longest, kept = merged[-1]
            better = length > longest
            merged[-1] = (start, max(end, span.end), max(length, longest), replacement if better else kept)
        else:
            merged.append((span.start, span.end, length, replacement))
    out: list[str] = []
    position = 0
    for start, end, _, replacement in merged:
        out += (text[position:start], replacement)
        position = end
    return "".join(out) + text[position:]
