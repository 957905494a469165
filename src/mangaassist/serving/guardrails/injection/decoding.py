"""Decoders of what attackers hide words in: each finds its segments and says what they mean."""

from __future__ import annotations

import base64
import binascii
import codecs
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Final
from urllib.parse import unquote_to_bytes

MOST_CHARS: Final = 8_000
"""What decoders look at; a longer text is read no further."""
LONGEST_JOINED: Final = 600
LONGEST_WORD: Final = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """A range of a text and what it means."""

    start: int
    end: int
    text: str


Decoder = Callable[[str], list[Segment]]


class Vocabulary:
    """Known words, the most frequent first: tells language from noise and splits words run together."""

    def __init__(self, words: Sequence[str]) -> None:
        self._cost = {
            word: math.log((rank + 2) * math.log(len(words) + 2)) for rank, word in enumerate(words)
        }

    def __contains__(self, word: str) -> bool:
        return word in self._cost

    def unknown(self, words: set[str]) -> set[str]:
        """Return the words that are not known."""
        return words - self._cost.keys()

    def split(self, letters: str) -> list[str]:
        """Return the likeliest words of a run of lower-case letters (Viterbi over word ranks)."""
        best: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, len(letters) + 1):
            options = [
                (best[start][0] + self._word_cost(letters[start:end]), start)
                for start in range(max(0, end - LONGEST_WORD), end)
            ]
            best.append(min(options))
        words = []
        end = len(letters)
        while end:
            start = best[end][1]
            words.append(letters[start:end])
            end = start
        return words[::-1]

    def _word_cost(self, word: str) -> float:
        known = self._cost.get(word)
        return known if known is not None else 9.0 + 9.0 * len(word)


_ESCAPED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|&#x?[0-9A-Fa-f]{1,6};)")
_ESCAPED_RUN: Final = re.compile(
    r"\S*(?:%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|&#x?[0-9A-Fa-f]{1,6};)\S*"
)
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}={0,2}(?![A-Za-z0-9+/])")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:0x)?(?:[0-9A-Fa-f]{2}[ :,]?){6,}(?![0-9A-Za-z])")
_WORD: Final = re.compile(r"[a-z]+")
_LEET_WORD: Final = re.compile(
    r"[A-Za-z0-9@$!|+€]*(?:[A-Za-z][0134578@$!|+€]|[0134578@$!|+€][A-Za-z])[A-Za-z0-9@$!|+€]*"
)
_LEET: Final = str.maketrans("013457892@$!|+€", "oieastbgzasilte")
_LEET_L: Final = str.maketrans("013457892@$!|+€", "oleastbgzaslite")
_SPACED: Final = re.compile(r"(?<!\w)\w(?:[^\w\n]{1,5}\w){4,}(?!\w)")
_NUMBER: Final = re.compile(r"\d*(?:1st|2nd|3rd|\dth)|\d+(?:x|k|am|pm|px|mm|cm|kg)?")
_LEAST_LEET_SHARE: Final = 0.12
"""Of a text's words, so many are written in leet, or it is not leet; three make it so anyway."""
_LEET_MARKS: Final = frozenset("0134578@$!|+€")


def decoders(vocabulary: Vocabulary) -> Sequence[tuple[str, Decoder]]:
    """Return the decoders by the name of their view."""
    return (
        ("escapes", _escapes),
        ("base64", _base64),
        ("hex", _hex),
        ("leet", lambda text: _leet(text, vocabulary)),
        ("spacing", lambda text: _spacing(text, vocabulary)),
        ("rot13", lambda text: _rot13(text, vocabulary)),
    )


def _escapes(text: str) -> list[Segment]:
    """URL, backslash and character-reference escapes; three of them at least."""
    text = text[:MOST_CHARS]
    if not ("%" in text or "\\" in text or "&#" in text) or len(_ESCAPED.findall(text)) < 3:
        return []
    segments = []
    for match in _ESCAPED_RUN.finditer(text):
        run = unescape(match.group())
        run = re.sub(
            r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})", lambda m: chr(int(m.group(1) or m.group(2), 16)), run
        )
        plain = unquote_to_bytes(run.encode("utf-8", "replace")).decode("utf-8", "replace")
        if plain != match.group():
            segments.append(Segment(match.start(), match.end(), plain))
    return segments


def _base64(text: str) -> list[Segment]:
    segments = []
    for match in _BASE64.finditer(text[:MOST_CHARS]):
        run = match.group().rstrip("=").replace("-", "+").replace("_", "/")
        if run.isalpha() and (run.islower() or run.istitle()):
            continue
        run = run[: len(run) - 1] if len(run) % 4 == 1 else run
        try:
            raw = base64.b64decode(run + "=" * (-len(run) % 4))
        except (binascii.Error, ValueError):
            continue
        plain = _readable(raw)
        if plain:
            segments.append(Segment(match.start(), match.end(), plain))
    return segments


def _hex(text: str) -> list[Segment]:
    segments = []
    for match in _HEX.finditer(text[:MOST_CHARS]):
        digits = re.sub(r"[^0-9A-Fa-f]", "", match.group().removeprefix("0x"))
        plain = _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
        if plain:
            segments.append(Segment(match.start(), match.end(), plain))
    return segments


def _readable(raw: bytes) -> str | None:
    """Return bytes as text when they are text."""
    try:
        plain = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    letters = sum(character.isalpha() or character.isspace() for character in plain)
    printable = all(character.isprintable() or character.isspace() for character in plain)
    return plain if plain and printable and letters >= 0.7 * len(plain) else None


def _leet(text: str, vocabulary: Vocabulary) -> list[Segment]:
    """Words with digits or signs for letters, where the plain letters make a known word."""
    if _LEET_MARKS.isdisjoint(text):
        return []
    segments: list[Segment] = []
    known, words = 0, 1 + text.count(" ", 0, MOST_CHARS)
    for match in _LEET_WORD.finditer(text[:MOST_CHARS]):
        word = match.group().lower()
        if _NUMBER.fullmatch(word):
            continue
        tail = len(word) - len(word.rstrip("!|+"))
        readings = [word.translate(_LEET), word.translate(_LEET_L)]
        readings += [reading[: len(reading) - tail] for reading in readings if tail]
        plain = next((reading for reading in readings if reading in vocabulary), None)
        known += plain is not None
        chosen = plain or readings[0]
        if not word[0].isdigit() or plain is not None:
            segments.append(Segment(match.start(), match.start() + len(match.group()), chosen))
    return segments if known >= min(3, max(1, _LEAST_LEET_SHARE * words)) else []


def _spacing(text: str, vocabulary: Vocabulary) -> list[Segment]:
    """Single letters with the same sign between them; wider gaps part the words."""
    segments = []
    for match in _SPACED.finditer(text[:MOST_CHARS]):
        run = match.group()
        separators = re.findall(r"(?<=\w)[^\w]+(?=\w)", run)
        narrow = min(len(separator) for separator in separators)
        pieces = re.split(rf"[^\w]{{{narrow + 1},}}", run)
        plain = [re.sub(r"[\W_]", "", piece) for piece in pieces]
        if len(plain) == 1 and plain[0].isascii() and len(plain[0]) <= LONGEST_JOINED:
            plain = vocabulary.split(plain[0].lower())
        segments.append(Segment(match.start(), match.end(), " ".join(plain)))
    return segments


def _rot13(text: str, vocabulary: Vocabulary) -> list[Segment]:
    """The whole text, when more of its words are known after rotation than before."""
    words = set(_WORD.findall(text[:MOST_CHARS].lower()))
    strange = {word for word in vocabulary.unknown(words) if len(word) > 1}
    turned = sum(codecs.encode(word, "rot13") in vocabulary for word in strange)
    if turned < 2 or 2 * turned < len(strange):
        return []
    return [
        Segment(match.start(), match.end(), codecs.encode(match.group(), "rot13"))
        for match in re.finditer(r"[A-Za-z]+", text[:MOST_CHARS])
        if match.group().lower() in strange
    ]
