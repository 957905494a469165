"""Other readings of a text: normalised, with hidden and encoded parts laid open, each mapped back.

Every view knows which characters of the original each of its own came from, so that what is found in a
decoded part is reported where the encoded part stands. The number of views, their size and the depth of
decoding are bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mangaassist.serving.guardrails.injection.confusables import (
    CONFUSABLES,
    INVISIBLE,
    TAG_PATTERN,
)
from mangaassist.serving.guardrails.injection.decoding import Segment, Vocabulary, decoders

MOST_VIEWS: Final = 12
DEEPEST: Final = 2
GROWTH: Final = 2
"""A view may be so many times as long as the text, plus 64 characters."""


@dataclass(frozen=True, slots=True)
class View:
    """A reading of a text. `starts` and `ends` are each character's range in the original; None: the same."""

    kind: str
    text: str
    starts: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of the original that a range of this view was read from."""
        if self.starts is None or self.ends is None:
            return start, end
        if start >= end:
            place = self.starts[start] if start < len(self.starts) else (self.ends[-1] if self.ends else 0)
            return place, place
        return min(self.starts[start:end]), max(self.ends[start:end])

    def replaced(self, kind: str, segments: Iterable[Segment]) -> View:
        """Return a view with segments (in order, not overlapping) replaced by what they mean."""
        texts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        position = 0
        for segment in segments:
            self._copy(position, segment.start, texts, starts, ends)
            low, high = self.original(segment.start, segment.end)
            texts.append(segment.text)
            starts += [low] * len(segment.text)
            ends += [high] * len(segment.text)
            position = segment.end
        self._copy(position, len(self.text), texts, starts, ends)
        return View(kind, "".join(texts), tuple(starts), tuple(ends))

    def _copy(self, start: int, end: int, texts: list[str], starts: list[int], ends: list[int]) -> None:
        texts.append(self.text[start:end])
        starts += range(start, end) if self.starts is None else self.starts[start:end]
        ends += range(start + 1, end + 1) if self.ends is None else self.ends[start:end]


def normalised(text: str) -> str:
    """Return the text under NFKC without invisible characters; idempotent."""
    return normal_view(text).text


def normal_view(text: str) -> View:
    """Return the view under NFKC without zero-width, bidirectional, tag and variation characters."""
    view = View("plain", text)
    if text.isascii():
        return view
    # removing a character can bring a base and its accent together, so until nothing changes
    while True:
        segments = list(_abnormal(view.text))
        if not segments:
            return view
        view = view.replaced("plain", segments)


def views_of(text: str, vocabulary: Vocabulary) -> list[View]:
    """Return the normalised view first, then the different readings of it."""
    plain = normal_view(text)
    views, seen = [plain], {plain.text}
    limit = GROWTH * len(text) + 64

    def add(view: View) -> None:
        if len(views) < MOST_VIEWS and view.text and view.text not in seen and len(view.text) <= limit:
            seen.add(view.text)
            views.append(view)

    if not text.isascii():
        add(_tag_view(text))
        add(_latin_view(plain))
    readings: Sequence[tuple[str, Callable[[str], list[Segment]]]] = decoders(vocabulary)
    begun = 0
    for _ in range(DEEPEST):
        level, begun = views[begun:], len(views)
        for view in level:
            for kind, decode in readings:
                segments = decode(view.text)
                if segments:
                    add(view.replaced(kind if view.kind == "plain" else f"{view.kind}+{kind}", segments))
    return views


def _abnormal(text: str) -> Iterator[Segment]:
    """Yield the clusters (a character and what combines with it) that normalisation changes."""
    if unicodedata.is_normalized("NFKC", text) and INVISIBLE.isdisjoint(text):
        return
    for run in _NON_ASCII_RUN.finditer(text):
        start, limit = run.span()
        while start < limit:
            end = start + 1
            while end < limit and _joins(text[end]):
                end += 1
            if end - start > 1 or not text[start].isascii():
                cluster = text[start:end]
                visible = "".join(character for character in cluster if character not in INVISIBLE)
                normal = unicodedata.normalize("NFKC", visible)
                if normal != cluster:
                    yield Segment(start, end, normal)
            start = end


def _joins(character: str) -> bool:
    """Whether a character may compose with the one before it."""
    code = ord(character)
    return character in INVISIBLE or (
        code > 0x7F and (unicodedata.combining(character) != 0 or code in _JAMO or code in _LATE_JOINERS)
    )


_NON_ASCII_RUN: Final = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")
_JAMO: Final = range(0x1160, 0x1200)
_LATE_JOINERS: Final = frozenset(
    map(
        ord,
        # starters that are the second half of a canonical composition
        "\u09be\u09d7\u0b3e\u0b56\u0b57\u0bbe\u0bd7\u0cc2\u0cd5\u0cd6\u0d3e\u0d57\u0dcf\u0ddf\u102e\u1b35\uff9e\uff9f"
        "\U00011127\U0001133e\U00011357\U000114b0\U000114ba\U000114bd\U000115af\U00011930",
    )
)


def _tag_view(text: str) -> View:
    """Return what is written in invisible tag characters."""
    hidden = [match.start() for match in TAG_PATTERN.finditer(text)]
    return View(
        "tags",
        "".join(chr(ord(text[index]) - 0xE0000) for index in hidden),
        tuple(hidden),
        tuple(index + 1 for index in hidden),
    )


def _latin_view(view: View) -> View:
    """Return the view with look-alikes of Latin letters replaced, in words that are (or may be) Latin."""
    text = view.text
    segments: list[Segment] = []
    if CONFUSABLES.keys().isdisjoint(text):
        return view
    latin = sum(character.isascii() and character.isalpha() for character in text)
    letters = sum(character.isalpha() for character in text)
    start = 0
    while start < len(text):
        end = start + 1
        if text[start].isalpha():
            while end < len(text) and text[end].isalpha():
                end += 1
            word = text[start:end]
            if not word.isascii():
                replaced = "".join(CONFUSABLES.get(character, character) for character in word)
                mixed = any(character.isascii() for character in word)
                if replaced != word and (mixed or (replaced.isascii() and 3 * latin > letters)):
                    segments += [
                        Segment(start + index, start + index + 1, CONFUSABLES[character])
                        for index, character in enumerate(word)
                        if character in CONFUSABLES
                    ]
        start = end
    return view.replaced("latin", segments)
