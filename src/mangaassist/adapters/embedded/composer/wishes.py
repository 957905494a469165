"""A shopper's constraints said back in plain words."""

from __future__ import annotations

from mangaassist.domain.dialogue import Constraints
from mangaassist.domain.wording import in_words, listed, round_money

_MOST_AVOIDED = 2
_KINDS = {
    "box_set": "box sets", "deluxe": "deluxe editions", "omnibus": "omnibus editions", "digital": "e-books",
    "single": "single volumes",
}  # fmt: skip
_FORMATS = {
    "hardcover": "in hardcover",
    "paperback": "in paperback",
    "ebook": "as e-books",
    "box_set": "as a box set",
}


def wish_of(constraints: Constraints) -> str | None:
    """Return what is looked for as a noun phrase (`funny romance manga under $20`); None for no wish."""
    words = [*constraints.moods]
    if constraints.status:
        words.append(constraints.status)
    if constraints.demographic:
        words.append(constraints.demographic)
    genres = listed(constraints.genres)
    head = " ".join(word for word in (", ".join(words), genres, _head(constraints)) if word)
    tail = [phrase for phrase in _tail(constraints) if phrase]
    if head == "manga" and not tail:
        return None
    return " ".join([head, *tail])


def avoided_moods(constraints: Constraints) -> str | None:
    """Return the moods that are not wanted (`grim or dark`); None when none was ruled out."""
    return listed(constraints.exclude_moods[:_MOST_AVOIDED], conjunction="or") or None


def avoided_things(constraints: Constraints) -> str | None:
    """Return genres and themes that are not wanted, none that another one includes."""
    things: list[str] = []
    for thing in (*constraints.exclude_genres, *constraints.exclude_themes):
        if not any(said in thing or thing in said for said in things):
            things.append(thing)
    return listed(things[:_MOST_AVOIDED], conjunction="or") or None


def reader(age: int) -> str:
    """Return who it is for: `a 10-year-old`."""
    return f"{'an' if age in (8, 11, 18) or 80 <= age < 90 else 'a'} {age}-year-old"


def budget(constraints: Constraints) -> str | None:
    """Return the price range in words; None without one."""
    low, high = constraints.min_price_usd, constraints.max_price_usd
    if low is not None and high is not None:
        return f"between {round_money(low)} and {round_money(high)}"
    if high is not None:
        return f"under {round_money(high)}"
    return f"from {round_money(low)}" if low is not None else None


def _head(constraints: Constraints) -> str:
    return _KINDS.get(constraints.kind or "", "manga")


def _tail(constraints: Constraints) -> list[str | None]:
    return [
        f"about {listed(constraints.themes)}" if constraints.themes else None,
        f"by {listed(constraints.authors, conjunction='or')}" if constraints.authors else None,
        _years(constraints),
        _length(constraints),
        _FORMATS.get(constraints.format or ""),
        {True: "with an anime", False: "without an anime", None: None}[constraints.anime],
        budget(constraints),
        f"for {reader(constraints.reader_age)}" if constraints.reader_age is not None else None,
    ]


def _years(constraints: Constraints) -> str | None:
    first, last = constraints.year_from, constraints.year_to
    if first is not None and last is not None:
        return f"from {first} to {last}" if first != last else f"from {first}"
    if first is not None:
        return f"from {first} on"
    return f"up to {last}" if last is not None else None


def _length(constraints: Constraints) -> str | None:
    if constraints.max_volumes == 1:
        return "in a single volume"
    if constraints.max_volumes is not None:
        return f"of at most {_volumes(constraints.max_volumes)}"
    return f"of at least {_volumes(constraints.min_volumes)}" if constraints.min_volumes is not None else None


def _volumes(count: int) -> str:
    return f"{in_words(count)} volumes"
