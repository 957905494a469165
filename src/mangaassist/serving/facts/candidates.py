"""Which series to recommend: those that meet the wishes, scored, diversified, each with its reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mangaassist.domain.catalog import Product, Series
from mangaassist.domain.dialogue import Constraints
from mangaassist.domain.grounding import SeriesFacts
from mangaassist.domain.wording import counted, round_money
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.facts.offers import fits, in_start_order, offers_to_begin_with
from mangaassist.serving.facts.reasons import reasons_for
from mangaassist.serving.facts.taste_index import TasteIndex, places_of

MAX_CANDIDATES: Final = 6
_LOOKED_AT: Final = 18  # best-scored series that are considered in the end
_OF_OFFERS: Final = ("offer", "price")

# weights of what makes a series fit; chosen by reading answers, not learned
_SIMILAR_LISTED, _SAME_AUTHOR, _SHARED_THEME, _SHARED_GENRE, _SHARED_MOOD = 4.0, 1.5, 1.2, 0.5, 0.4
_WANTED_THEME, _WANTED_MOOD, _RETRIEVED, _HAS_ANIME, _FAVOURITE = 1.5, 0.8, 2.5, 0.15, 0.3
_TOUCHSTONE, _TOUCHSTONE_CAP = 0.12, 8
_ALREADY_LIKE_A_CHOSEN_ONE: Final = 1.0

# what is given up first when nothing meets every wish; exclusions and the reader's age never are
_RELAXED: Final[tuple[tuple[str, str], ...]] = (
    ("moods", "the mood"), ("anime", "the anime"), ("year", "the years"), ("demographic", "the demographic"),
    ("themes", "the theme"), ("volumes", "the length"), ("status", "whether it is finished"),
    ("offer", "the edition"), ("authors", "the author"), ("price", "the budget"), ("genres", "the genre"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRequest:
    """What candidates are wanted for; `retrieved` are the scores of the series that the search found."""

    constraints: Constraints
    retrieved: Mapping[str, float]
    shown: Collection[str] = ()
    favourites: Collection[str] = ()
    adult_allowed: bool = False
    cheapest_first: bool = False
    only_retrieved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The series to recommend, best first, and what had to be given up, in plain words."""

    items: tuple[SeriesFacts, ...] = ()
    relaxed: tuple[str, ...] = ()


class CandidateFinder:
    """Finds series to recommend in one catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._index = TasteIndex([one for one in catalog.all_series() if one.source == "pack"])
        self._standing = tuple(
            _TOUCHSTONE * min(self._index.naming_similar(one.series_id).bit_count(), _TOUCHSTONE_CAP)
            for one in self._index.series
        )
        self._ordered: dict[str, tuple[Sequence[Product], tuple[Product, ...]]] = {}

    def find(self, request: CandidateRequest) -> Candidates:
        """Return candidates that break no hard constraint, giving up wishes while there are none."""
        constraints = request.constraints
        allowed = self._index.never_broken(constraints, adult_allowed=request.adult_allowed)
        unseen = allowed & ~self._index.of(request.shown)
        wishes = [name for name, _ in _RELAXED if _is_set(name, constraints)]
        meeting = {name: self._index.meeting(name, constraints) for name in wishes if name not in _OF_OFFERS}
        for given_up in _steps(wishes):
            pool = unseen if not request.only_retrieved else unseen & self._index.of(request.retrieved)
            for name, bits in meeting.items():
                if name not in given_up:
                    pool &= bits
            chosen = self._choose(pool, request, given_up) if pool else []
            if chosen:
                relaxed = self._really_given_up(chosen, given_up, constraints)
                return Candidates(items=tuple(chosen), relaxed=relaxed)
        return Candidates()

    def _choose(self, pool: int, request: CandidateRequest, given_up: Collection[str]) -> list[SeriesFacts]:
        constraints = request.constraints
        wanted = _offer_wishes(constraints, given_up)
        liked = [one for one in map(self._catalog.series, constraints.like_series) if one is not None]
        scores = self._scores(pool, liked, request)
        found: list[tuple[float, SeriesFacts]] = []
        for place in sorted(scores, key=lambda place: (-scores[place], place)):
            one, score = self._index.series[place], scores[place]
            offers = offers_to_begin_with(self._products(one.series_id), wanted)
            if offers:
                reasons = reasons_for(one, liked, constraints, offers=offers)
                found.append((score, SeriesFacts(series=one, products=offers, reasons=reasons)))
            if len(found) >= _LOOKED_AT:
                break
        if request.cheapest_first:
            found.sort(key=lambda entry: entry[1].products[0].price_usd or float("inf"))
            return [item for _, item in found[:MAX_CANDIDATES]]
        return _diversified(found)

    def _products(self, series_id: str) -> tuple[Product, ...]:
        """Return the products of a series, sorted again only when the catalogue has others."""
        products = self._catalog.products_of(series_id)
        sorted_from, ordered = self._ordered.get(series_id, (None, ()))
        if sorted_from is not products:
            ordered = in_start_order(products)
            self._ordered[series_id] = (products, ordered)
        return ordered

    def _scores(self, pool: int, liked: Sequence[Series], request: CandidateRequest) -> dict[int, float]:
        """Return a score for each series of the pool, by its place; every shared fact adds its weight."""
        index, constraints = self._index, request.constraints
        weighted = [
            *((_WANTED_THEME, index.with_theme(theme)) for theme in constraints.themes),
            *((_WANTED_MOOD, index.having("mood", mood)) for mood in constraints.moods),
            *((_FAVOURITE, index.naming_similar(one)) for one in request.favourites),
            (_HAS_ANIME, index.having("anime", "True")),
        ]
        for model in liked:
            listed = index.of(model.similar) | index.naming_similar(model.series_id)
            weighted.append((_SIMILAR_LISTED, listed))
            for field, weight, values in (
                ("author", _SAME_AUTHOR, model.authors),
                ("theme", _SHARED_THEME, model.themes),
                ("genre", _SHARED_GENRE, model.genres),
                ("mood", _SHARED_MOOD, model.moods),
            ):
                weighted += ((weight, index.having(field, value)) for value in values)
        scores = {place: self._standing[place] for place in places_of(pool)}
        for weight, bits in weighted:
            for place in places_of(bits & pool):
                scores[place] += weight
        for series_id, score in request.retrieved.items():
            found = index.position.get(series_id)
            if found in scores:
                scores[found] += _RETRIEVED * score
        return scores

    def _really_given_up(
        self, chosen: Sequence[SeriesFacts], given_up: Sequence[str], constraints: Constraints
    ) -> tuple[str, ...]:
        """Name only wishes that a chosen series does not meet."""
        ids = self._index.of(item.series.series_id for item in chosen)
        said = []
        for name, words in _RELAXED:
            if name not in given_up:
                continue
            if name in _OF_OFFERS:
                wish = _offer_wishes(constraints, [other for other in _OF_OFFERS if other != name])
                unmet = not all(any(fits(one, wish) for one in item.products) for item in chosen)
            else:
                unmet = bool(ids & ~self._index.meeting(name, constraints))
            if unmet:
                said.append(_in_words(name, words, constraints))
        return tuple(said)


def _steps(wishes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield what to give up: nothing, then one wish alone, then more and more together."""
    yield ()
    yield from ((wish,) for wish in wishes)
    yield from (tuple(wishes[:count]) for count in range(2, len(wishes) + 1))


def _offer_wishes(constraints: Constraints, given_up: Collection[str]) -> Constraints:
    price = "price" not in given_up
    edition = "offer" not in given_up
    return Constraints(
        kind=constraints.kind if edition else None,
        format=constraints.format if edition else None,
        language=constraints.language,
        in_stock=constraints.in_stock if edition else None,
        max_price_usd=constraints.max_price_usd if price else None,
        min_price_usd=constraints.min_price_usd if price else None,
    )


def _is_set(name: str, constraints: Constraints) -> bool:
    if name == "volumes":
        return constraints.min_volumes is not None or constraints.max_volumes is not None
    if name == "year":
        return constraints.year_from is not None or constraints.year_to is not None
    if name == "price":
        return constraints.min_price_usd is not None or constraints.max_price_usd is not None
    if name == "offer":
        return bool(constraints.kind or constraints.format or constraints.in_stock)
    return getattr(constraints, name) not in (None, ())


def _in_words(name: str, words: str, constraints: Constraints) -> str:
    if name == "price" and constraints.max_price_usd is not None:
        return f"the budget of {round_money(constraints.max_price_usd)}"
    if name == "volumes" and constraints.max_volumes is not None:
        return f"the limit of {counted(constraints.max_volumes, 'volume')}"
    if name in ("themes", "moods", "genres"):
        values = getattr(constraints, name)
        return f"{words} {values[0]}" if len(values) == 1 else f"{words}s {' and '.join(values)}"
    return words


def _diversified(found: list[tuple[float, SeriesFacts]]) -> list[SeriesFacts]:
    """Choose greedily, each further work of an author already chosen counting less."""
    chosen: list[SeriesFacts] = []
    rest = list(found)
    while rest and len(chosen) < MAX_CANDIDATES:
        authors = [author for item in chosen for author in item.series.authors]
        best = max(
            rest,
            key=lambda entry: (
                entry[0]
                - _ALREADY_LIKE_A_CHOSEN_ONE * sum(author in authors for author in entry[1].series.authors)
            ),
        )
        rest.remove(best)
        chosen.append(best[1])
    return chosen
