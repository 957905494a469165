"""What to retrieve for a message: its resolved text, and its constraints as exact filters."""

from __future__ import annotations

from mangaassist.domain.bundle import Route
from mangaassist.domain.dialogue import Constraints, Reading
from mangaassist.domain.intents import Intent, IntentDecision
from mangaassist.domain.retrieval import Filter, RetrievalQuery


def plan_retrieval(reading: Reading, decision: IntentDecision, route: Route) -> RetrievalQuery | None:
    """Return the query, or None where the route answers without retrieval."""
    if not route.retrieval_kinds:
        return None
    filters = [Filter(field="kind", op="in", values=route.retrieval_kinds)]
    if decision.intent is Intent.RECOMMENDATION:
        filters += constraint_filters(reading.state.constraints)
    elif (
        decision.intent is Intent.PRODUCT_QUESTION and reading.stated.authors and not reading.mentioned_series
    ):
        filters.append(Filter(field="authors", op="in", values=reading.stated.authors))
    return RetrievalQuery(text=reading.resolved_text, filters=tuple(filters), top_k=route.top_k)


def constraint_filters(constraints: Constraints) -> list[Filter]:
    """Return the constraints that are exact in the metadata of a series chunk.

    Wanted themes and moods stay out: the catalogue words them freely (1,800 themes), so the text search and
    the scoring of candidates judge them, where an exact filter would lose "vampire" for "vampires".
    """
    filters = [Filter(field="genres", op="in", values=(genre,)) for genre in constraints.genres]
    for field, value in (
        ("demographic", constraints.demographic),
        ("status", constraints.status),
        ("kinds", constraints.kind),
        ("formats", constraints.format),
        ("languages", constraints.language),
    ):
        if value is not None:
            filters.append(Filter(field=field, op="in", values=(value,)))
    if constraints.authors:
        filters.append(Filter(field="authors", op="in", values=constraints.authors))
    for field, flag in (("anime", constraints.anime), ("in_stock", constraints.in_stock)):
        if flag is not None:
            filters.append(Filter(field=field, op="in", values=(flag,)))
    for field, refused in (
        ("genres", constraints.exclude_genres),
        ("themes", constraints.exclude_themes),
        ("moods", constraints.exclude_moods),
    ):
        if refused:
            filters.append(Filter(field=field, op="not_in", values=refused))
    filters += _bounds("volumes", constraints.min_volumes, constraints.max_volumes)
    filters += _bounds("first_year", constraints.year_from, constraints.year_to)
    if constraints.max_price_usd is not None:
        filters.append(Filter(field="min_price_usd", op="lte", values=(constraints.max_price_usd,)))
    if constraints.reader_age is not None and constraints.reader_age < 18:
        filters.append(Filter(field="min_age", op="lte", values=(constraints.reader_age,)))
    return filters


def _bounds(field: str, low: float | None, high: float | None) -> list[Filter]:
    filters = []
    if low is not None:
        filters.append(Filter(field=field, op="gte", values=(low,)))
    if high is not None:
        filters.append(Filter(field=field, op="lte", values=(high,)))
    return filters
