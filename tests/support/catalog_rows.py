"""Rows of an outside catalogue."""

from __future__ import annotations

from typing import Any


def import_row(row_id: str, **changes: object) -> dict[str, Any]:
    return {
        "id": row_id,
        "title": f"Title {row_id}",
        "title_en": None,
        "type": "Manga",
        "authors": ["Urasawa, Naoki"],
        "genres": ["Drama", "Award Winning"],
        "demographic": "Seinen",
        "status": "Finished",
        "volumes": 18,
        "year": 1994,
    } | changes
