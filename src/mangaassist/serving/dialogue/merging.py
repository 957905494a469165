"""How the constraints of a message change those of the conversation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mangaassist.domain.dialogue import Constraints, Reading

# what belongs to the reader and the purse rather than to one request
_LASTING = ("max_price_usd", "min_price_usd", "reader_age", "language", "format", "not_series")
_SINGLE = (
    "demographic", "reader_age", "status", "kind", "format", "language", "anime", "in_stock",
)  # fmt: skip
_RANGES = (("min_price_usd", "max_price_usd"), ("min_volumes", "max_volumes"), ("year_from", "year_to"))


def lasting(constraints: Constraints) -> Constraints:
    """Return what a new request within the same talk keeps: budget, reader, language, titles refused."""
    return Constraints(**{name: getattr(constraints, name) for name in _LASTING})


def merge(base: Constraints, reading: Reading, *, replace_taste: bool) -> Constraints:
    """Return `base` changed by what the reading states; what is said later wins.

    With `replace_taste` the stated genres, themes and moods take the place of the earlier ones.
    """
    stated = reading.stated
    merged = replace(base, **_numbers_and_choices(base, stated))  # type: ignore[arg-type]  # keyed by its own fields
    for wanted, unwanted in (
        ("genres", "exclude_genres"),
        ("themes", "exclude_themes"),
        ("moods", "exclude_moods"),
    ):
        new, refused = getattr(stated, wanted), getattr(stated, unwanted)
        kept = () if replace_taste else getattr(base, wanted)
        gone = {*refused, *reading.withdrawn}
        still_refused = (one for one in getattr(base, unwanted) if one not in {*new, *reading.withdrawn})
        changes = {
            wanted: _union((one for one in kept if one not in gone), new),
            unwanted: _union(still_refused, refused),
        }
        merged = replace(merged, **changes)  # type: ignore[arg-type]  # keyed by its own fields
    liked = stated.like_series or (() if replace_taste else base.like_series)
    return replace(
        merged,
        authors=stated.authors or (() if replace_taste else base.authors),
        like_series=liked,
        not_series=_union((one for one in base.not_series if one not in liked), stated.not_series),
    )


def has_taste(constraints: Constraints) -> bool:
    """Tell whether constraints say what kind of story is wanted."""
    return bool(
        constraints.genres
        or constraints.themes
        or constraints.moods
        or constraints.demographic
        or constraints.authors
        or constraints.like_series
    )


def has_anything(constraints: Constraints) -> bool:
    """Tell whether any constraint is set."""
    return constraints != Constraints()


def _numbers_and_choices(base: Constraints, stated: Constraints) -> dict[str, object]:
    changes: dict[str, object] = {
        name: value for name in _SINGLE if (value := getattr(stated, name)) is not None
    }
    for low, high in _RANGES:
        new_low, new_high = getattr(stated, low), getattr(stated, high)
        if new_low is None and new_high is None:
            continue
        old_low, old_high = getattr(base, low), getattr(base, high)
        if new_low is not None:
            changes[low] = new_low
            changes[high] = (
                old_high if new_high is None and old_high is not None and old_high >= new_low else new_high
            )
        else:
            changes[high] = new_high
            changes[low] = old_low if old_low is not None and old_low <= new_high else None
    return changes


def _union(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
