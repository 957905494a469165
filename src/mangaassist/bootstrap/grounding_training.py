"""Trains a store's grounding model from a labelled file and puts it where the pack expects it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from mangaassist.bootstrap.guardrail_models import GROUNDING_FOLDER, load_grounding_model, load_support_reader
from mangaassist.control.evaluation.guardrail_grounding import read_grounding
from mangaassist.control.evaluation.intents import auroc
from mangaassist.control.training.grounding import (
    GroundingTraining,
    dataset_hash,
    family_of,
    train_grounding,
)
from mangaassist.domain.grounding_examples import GroundingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedGrounding:
    """Where the model lies, and what it reached on contexts it had not seen."""

    path: Path
    version: str
    held_out_auroc: Mapping[str, float | None]


def train_store_grounding(
    *, store_dir: Path, data: Path, output: Path | None, progress: Callable[[str, int, int], None]
) -> TrainedGrounding:
    """Train on the rows of `data` and write `model.json`, by default into the pack."""
    folder = store_dir / "guardrails"
    path = output or folder / GROUNDING_FOLDER / "model.json"
    rows = read_grounding(data)
    training = train_grounding(rows, load_support_reader(folder), progress=progress)
    held_out = _held_out(rows, training)
    provenance = {
        "rows": len(rows),
        "by_source": dict(Counter(family_of(row) for row in rows)),
        "dataset_hash": dataset_hash(rows),
        "held_out_auroc": {
            name: None if value is None else round(value, 4) for name, value in held_out.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**training.document, "provenance": provenance}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return TrainedGrounding(path=path, version=load_grounding_model(path).version, held_out_auroc=held_out)


def _held_out(rows: Sequence[GroundingRow], training: GroundingTraining) -> dict[str, float | None]:
    """Return the area under the curve of the held-out scores by kind of source."""
    scored = list(zip(rows, training.held_out_scores, strict=True))
    return {
        family: auroc(
            [score for row, score in scored if family_of(row) == family and row.is_hallucinated],
            [score for row, score in scored if family_of(row) == family and not row.is_hallucinated],
        )
        for family in sorted({family_of(row) for row in rows})
    }
