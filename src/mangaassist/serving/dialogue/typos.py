"""Nearest known word by deletions: an index for single-word typing errors."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Final

_TWO_EDITS_FROM: Final = 7  # letters from which two edits are still recognisably the same word
_ONE_EDIT_FROM: Final = 5
_MAX_LENGTH: Final = 14  # longer words have too many deletions for what they would add


def edit_distance(left: str, right: str, *, limit: int) -> int:
    """Return the edit distance with adjacent swaps as one edit, or `limit + 1` when it is larger."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for row, letter in enumerate(left, start=1):
        current = [row]
        for column, other in enumerate(right, start=1):
            cost = min(
                previous[column] + 1,
                current[column - 1] + 1,
                previous[column - 1] + (letter != other),
            )
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        before, previous = previous, current
    return previous[-1] if previous[-1] <= limit else limit + 1


def _deletions(word: str, edits: int) -> Iterable[str]:
    yield word
    for index in range(len(word)):
        yield word[:index] + word[index + 1 :]
    if edits > 1:
        for first, second in combinations(range(len(word)), 2):
            yield word[:first] + word[first + 1 : second] + word[second + 1 :]


class TypoIndex:
    """Corrects a word to the one known word that it is closest to.

    Words of 5 or 6 letters may differ by one edit, longer ones by two if the first letter is right; two
    equally near known words give no correction.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._by_deletion: dict[str, list[str]] = {}
        for word in set(words):
            if _ONE_EDIT_FROM <= len(word) <= _MAX_LENGTH and not any(c.isdigit() for c in word):
                for key in _deletions(word, _allowed_edits(word)):
                    self._by_deletion.setdefault(key, []).append(word)

    def correct(self, word: str) -> str | None:
        """Return the nearest known word, or None when none is near or two are equally near."""
        if not _ONE_EDIT_FROM <= len(word) <= _MAX_LENGTH + 2 or any(c.isdigit() for c in word):
            return None
        candidates: set[str] = set()
        for key in _deletions(word, 2 if len(word) >= _TWO_EDITS_FROM - 1 else 1):
            candidates.update(self._by_deletion.get(key, ()))
        ranked = sorted((self._distance(word, candidate), candidate) for candidate in candidates)
        ranked = [entry for entry in ranked if entry[0] <= 2]
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return ranked[0][1]

    @staticmethod
    def _distance(word: str, known: str) -> int:
        allowed = _allowed_edits(known)
        distance = edit_distance(word, known, limit=allowed)
        if distance > allowed or (distance > 1 and word[0] != known[0]):
            return 9
        return distance


def _allowed_edits(word: str) -> int:
    return 2 if len(word) >= _TWO_EDITS_FROM else 1
