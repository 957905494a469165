"""Fits the grounding model and measures it on contexts that it was not fitted on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from mangaassist.domain.grounding_examples import GroundingRow
from mangaassist.serving.guardrails.claims.grounding_model import GroundingModel, inputs_of
from mangaassist.serving.guardrails.claims.support import FEATURES, SupportReader

REGULARISATION = 0.01
"""Inverse strength of the penalty; strong, because texts to come are of other kinds."""

FOLDS = 8
SHORT_ANSWER_WEIGHT = 0.2
"""Weight of sources in which length gives the label away."""

SHORT_ANSWER_SOURCES = ("halueval",)
_SCALE_FLOOR = 1e-6

Progress = Callable[[str, int, int], None]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingTraining:
    """The model's document, and the score of every row by a model that had not seen its context."""

    document: Mapping[str, object]
    held_out_scores: tuple[float, ...]


def train_grounding(
    rows: Sequence[GroundingRow], reader: SupportReader, *, progress: Progress
) -> GroundingTraining:
    """Fit on all rows; the held-out figures come from folds that share no context with their training."""
    inputs = np.empty((len(rows), 2 * len(FEATURES) + 1))
    for done, row in enumerate(rows):
        if done % 100 == 0:
            progress("reading", done, len(rows))
        inputs[done] = inputs_of(reader.features(row.response, reader.sources([("context", row.context)])))
    truth = np.array([row.is_hallucinated for row in rows])
    kinds = np.array([family_of(row) for row in rows])
    weights = np.where(np.isin(kinds, SHORT_ANSWER_SOURCES), SHORT_ANSWER_WEIGHT, 1.0)
    folds = np.array([_fold_of(row.context) for row in rows])
    scores = np.zeros(len(rows))
    for fold in range(FOLDS):
        progress("held-out folds", fold, FOLDS)
        inside = folds != fold
        if inside.all() or not inside.any():
            continue
        model = GroundingModel.from_document(_fitted(inputs[inside], truth[inside], weights[inside]))
        scores[~inside] = [model.score_inputs(row) for row in inputs[~inside].tolist()]
    return GroundingTraining(document=_fitted(inputs, truth, weights), held_out_scores=tuple(scores.tolist()))


def dataset_hash(rows: Sequence[GroundingRow]) -> str:
    """Return the hash that names a set of rows in a model's provenance."""
    content = [(row.context, row.response, row.is_hallucinated) for row in rows]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]


def family_of(row: GroundingRow) -> str:
    """Return the kind of source: `summedits` of `summedits-sales_email`."""
    return row.source.partition("-")[0]


def _fitted(inputs: Matrix, truth: NDArray[np.bool_], weights: Matrix) -> dict[str, object]:
    from sklearn.linear_model import LogisticRegression

    means, scales = inputs.mean(axis=0), inputs.std(axis=0)
    scales[scales < _SCALE_FLOOR] = 1.0
    fitted = LogisticRegression(C=REGULARISATION, max_iter=3_000, class_weight="balanced").fit(
        (inputs - means) / scales, truth, sample_weight=weights
    )
    return {
        "features": list(FEATURES),
        "means": np.round(means, 6).tolist(),
        "scales": np.round(scales, 6).tolist(),
        "weights": np.round(fitted.coef_[0], 6).tolist(),
        "intercept": round(float(fitted.intercept_[0]), 6),
    }


def _fold_of(context: str) -> int:
    return int.from_bytes(hashlib.sha256(context.encode()).digest()[:4], "big") % FOLDS
