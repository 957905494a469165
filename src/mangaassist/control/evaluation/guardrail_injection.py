"""What the injection stage is worth on labelled texts of several sources."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mangaassist.control.evaluation.disguises import DISGUISES
from mangaassist.control.evaluation.guardrail_data import read_rows
from mangaassist.control.evaluation.guardrail_figures import binary_figures, latency_figures
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.labelled_texts import LabelledText

Score = Callable[[str], Awaitable[float]]
Progress = Callable[[str, int, int], None]
REPORTED_EVERY = 50
RANKING_FIGURES = ("auroc", "recall_at_0.1pct_fpr", "recall_at_1pct_fpr", "recall_at_5pct_fpr")


def read_labelled(path: Path) -> list[LabelledText]:
    """Return the rows of a file; raises `InvalidRequestError` for a row that cannot be used."""
    rows = read_rows(path, {"text": str, "label": str})
    unknown = sorted({row["label"] for row in rows} - {"injection", "benign"})
    if unknown:
        raise InvalidRequestError(f"{path.name}: labels must be injection or benign, got {unknown}")
    return [
        LabelledText(
            text=row["text"], is_attack=row["label"] == "injection", source=str(row.get("source", path.stem))
        )
        for row in rows
    ]


async def score_texts(
    texts: Sequence[str], score: Score, *, progress: Progress
) -> tuple[list[float], list[float]]:
    """Return every text's score and the seconds it took."""
    scores, seconds = [], []
    for done, text in enumerate(texts):
        if done % REPORTED_EVERY == 0:
            progress("scoring", done, len(texts))
        started = time.perf_counter()
        scores.append(await score(text))
        seconds.append(time.perf_counter() - started)
    return scores, seconds


def report(
    rows: Sequence[LabelledText],
    scores: Sequence[float],
    seconds: Sequence[float] | None,
    *,
    threshold: float,
) -> Mapping[str, Any]:
    """Return `overall` and `by_source`; with `seconds` a text, the latency too.

    A source of one class has no ranking of its own: its attacks are ranked among all benign rows of the
    file, its benign rows among all attacks (`ranked_among`); precision, recall and F1 stay its own.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.array([row.is_attack for row in rows])
    sources = np.array([row.source for row in rows])
    by_source = {}
    for source in sorted(set(sources.tolist())):
        mine = sources == source
        own = binary_figures(values[mine], truth[mine], threshold=threshold)
        document = own.document()
        if own.auroc is None:
            others = mine | (truth != truth[mine][0])
            ranked = binary_figures(values[others], truth[others], threshold=threshold).document()
            document |= {name: ranked[name] for name in RANKING_FIGURES}
        by_source[source] = document | {"ranked_among": "its own rows" if own.auroc is not None else "all"}
    overall = binary_figures(values, truth, threshold=threshold).document()
    if seconds is not None:
        overall |= latency_figures(seconds)
    return {"overall": overall, "by_source": by_source}


async def recall_by_disguise(
    rows: Sequence[LabelledText],
    scores: Sequence[float],
    score: Score,
    *,
    threshold: float,
    longest: int,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Return recall and what is lost under each disguise, over the attacks of at most `longest` characters.

    Longer ones would measure how much of a text the decoders read, not whether they understand it.
    """
    attacks = [
        (row.text, value)
        for row, value in zip(rows, scores, strict=True)
        if row.is_attack and len(row.text) <= longest
    ]
    if not attacks:
        return {}
    plain = sum(value >= threshold for _, value in attacks) / len(attacks)
    found = {"none": {"recall": plain, "recall_lost": 0.0, "count": float(len(attacks))}}
    for name, disguise in DISGUISES.items():
        hits = 0
        for done, (text, _) in enumerate(attacks):
            if done % REPORTED_EVERY == 0:
                progress(f"disguise {name}", done, len(attacks))
            hits += await score(disguise(text)) >= threshold
        recall = hits / len(attacks)
        found[name] = {"recall": recall, "recall_lost": plain - recall, "count": float(len(attacks))}
    return found
