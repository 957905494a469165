"""When a title that is also an ordinary word is meant as a title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from mangaassist.serving.dialogue.text import Token

Strength = Literal["plain", "cued", "everyday", "quoted"]
"""What a title needs to count as one: nothing, a cue ("Monster"), a strong cue ("Another"), or quotes."""

_DETERMINERS_TEXT = """
a an some any the my your our his her their no more every each one another these those other such
"""
_DETERMINERS: Final = frozenset(_DETERMINERS_TEXT.split())
_BEFORE_TEXT = """
is does did has have was of about like liked loved enjoyed read reading reread finished than vs versus or
and meant mean compare between called named titled wrote draws drew draw watched isnt doesnt hasnt wheres
whats how prefer try tried start started get buy with from both recommend suggest after except
"""
_BEFORE: Final = frozenset(_BEFORE_TEXT.split())
_AFTER_TEXT = """
finished over done complete completed ended ending end ends have has cost costs still ongoing in
available worth good any cheaper vs versus or and but by instead please pls plz shorter darker longer fan
fans readers reader too first so yet out price author series on suitable appropriate ok okay for manga
box deluxe omnibus hardcover vol vols volume volumes is was did does
"""
_AFTER: Final = frozenset(_AFTER_TEXT.split())
_STRONG_BEFORE_TEXT = """
is does did has wrote draws drew meant mean called titled named was
"""
_STRONG_BEFORE: Final = frozenset(_STRONG_BEFORE_TEXT.split())
_STRONG_AFTER_TEXT = """
finished over complete completed ended have has ongoing worth cost suitable vol volume box hardcover
"""
_STRONG_AFTER: Final = frozenset(_STRONG_AFTER_TEXT.split())
_VOLUME_AFTER: Final = frozenset(
    ["vol", "vols", "volume", "volumes", "box", "deluxe", "omnibus", "hardcover"]
)


def is_meant(
    text: str, tokens: Sequence[Token], first: int, last: int, *, strength: Strength, in_talk: bool
) -> bool:
    """Tell whether tokens `first` to `last` (inclusive), which spell a title, mean the title."""
    if strength == "plain":
        return True
    if _quoted(text, tokens[first].start, tokens[last].end):
        return True
    if strength == "quoted":
        return False
    if _capitalised(text, tokens, first, last):
        return True
    before = tokens[first - 1].norm if first else None
    after = tokens[last + 1].norm if last + 1 < len(tokens) else None
    if strength == "everyday":
        asked = before in _STRONG_BEFORE and after in _STRONG_AFTER
        pointed_out = after is None and (before == "meant" or (before == "like" and last > first))
        return asked or pointed_out or (in_talk and last > first)
    if after in _VOLUME_AFTER or (after is not None and after.isdigit() and len(after) <= 3):
        return before not in ("a", "an", "some", "any", "no", "more")
    if before in _DETERMINERS:
        return False
    if in_talk or (before is None and (after is None or after in ("vs", "versus", "or", "fan", "fans"))):
        return True
    if before is None:
        return after in ("is", "has", "price", "author", "still", "finished")
    return (
        before in _BEFORE
        and (after is None or after in _AFTER)
        and not (before == "like" and after == "manga")
    )


def _quoted(text: str, start: int, end: int) -> bool:
    marks = "\"'*_“”‘’«»「」『』"
    return start > 0 and end < len(text) and text[start - 1] in marks and text[end] in marks


def _capitalised(text: str, tokens: Sequence[Token], first: int, last: int) -> bool:
    """Capitals count in the middle of a sentence that does not capitalise everything."""
    if first == 0 or not all(text[token.start].isupper() for token in tokens[first : last + 1]):
        return False
    gap = text[tokens[first - 1].end : tokens[first].start]
    if any(mark in gap for mark in ".!?:\n"):
        return False
    others = [token for index, token in enumerate(tokens) if not first <= index <= last]
    capitals = sum(text[token.start].isupper() for token in others)
    return capitals * 2 <= len(others)
