"""What the grounding score is worth on labelled pairs of a context and a response, of several sources."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mangaassist.control.evaluation.guardrail_data import read_rows
from mangaassist.control.evaluation.guardrail_figures import binary_figures, latency_figures
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.grounding_examples import GroundingRow

Score = Callable[[str, str], float]
"""Takes a context and a response; returns how likely the response is not grounded."""

Progress = Callable[[str, int, int], None]
REPORTED_EVERY = 50


def read_grounding(path: Path) -> list[GroundingRow]:
    """Return the rows of a file; raises `InvalidRequestError` for a row that cannot be used."""
    rows = read_rows(path, {"context": str, "response": str, "label": str})
    unknown = sorted({row["label"] for row in rows} - {"grounded", "hallucinated"})
    if unknown:
        raise InvalidRequestError(f"{path.name}: labels must be grounded or hallucinated, got {unknown}")
    return [
        GroundingRow(
            context=row["context"],
            response=row["response"],
            is_hallucinated=row["label"] == "hallucinated",
            source=str(row.get("source", path.stem)),
        )
        for row in rows
    ]


def evaluate_grounding(
    rows: Sequence[GroundingRow], score: Score, *, threshold: float, progress: Progress
) -> Mapping[str, object]:
    """Return `overall` (with the time a pair takes) and `by_source`.

    Sources of a family (`summedits-*`) also stand together under its name: in some, every row of a part has
    one label.
    """
    scores, seconds = [], []
    for done, row in enumerate(rows):
        if done % REPORTED_EVERY == 0:
            progress("scoring", done, len(rows))
        started = time.perf_counter()
        scores.append(score(row.context, row.response))
        seconds.append(time.perf_counter() - started)
    values = np.asarray(scores, dtype=np.float64)
    truth = np.array([row.is_hallucinated for row in rows])
    sources = [row.source for row in rows]
    families = [source.partition("-")[0] for source in sources]
    by_source = {
        name: binary_figures(values[mine], truth[mine], threshold=threshold).document()
        for names in (sources, families)
        for name in sorted(set(names))
        if (mine := np.array([one == name for one in names])).any()
    }
    overall = binary_figures(values, truth, threshold=threshold).document() | latency_figures(seconds)
    return {"overall": overall, "by_source": by_source}
