"""Questions over all request records."""

from __future__ import annotations

from typing import Protocol

from mangaassist.domain.tables import Cell, ResultTable


class RecordAnalytics(Protocol):
    """Runs SQL over the views `records` and `feedback` (docs/records.md names their columns).

    Every implementation promises: queries read and never write, see only these views, and see whole
    batches of the copy; a query that cannot be run raises `InvalidRequestError` with the engine's reason.
    """

    def run(self, sql: str, parameters: dict[str, Cell] | None = None) -> ResultTable:
        """Return the result; `$name` in the SQL stands for a parameter."""
        ...
