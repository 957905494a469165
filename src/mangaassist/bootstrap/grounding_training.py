"""Trains a store's grounding model from a labelled file and puts it where the pack expects it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from mangaassist.bootstrap.guardrail_models import GROUNDING_FOLDER, load_grounding_model, load_support_reader
from mangaassist.control.evaluation.guardrail_grounding import read_grounding
from mangaassist.control.training.grounding import GroundingTraining, train_grounding


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedGrounding:
    """Where the model lies, and what it reached on contexts it had not seen."""

    path: Path
    version: str
    training: GroundingTraining


def train_store_grounding(
    *, store_dir: Path, data: Path, output: Path | None, progress: Callable[[str, int, int], None]
) -> TrainedGrounding:
    """Train on the rows of `data` and write `model.json`, by default into the pack."""
    folder = store_dir / "guardrails"
    path = output or folder / GROUNDING_FOLDER / "model.json"
    training = train_grounding(read_grounding(data), load_support_reader(folder), progress=progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(training.document, option=orjson.OPT_INDENT_2) + b"\n")
    return TrainedGrounding(path=path, version=load_grounding_model(path).version, training=training)
