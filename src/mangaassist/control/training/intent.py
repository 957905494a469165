"""Trains the intent model from labelled texts; the same inputs and seed give the same version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mangaassist.control.training.calibration import CalibrationTargets, calibrate
from mangaassist.control.training.ridge import (
    KernelLandmarks,
    KernelShape,
    RidgeFit,
    fit_ridge,
    principal_view,
)
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.serving.array_files import quantised
from mangaassist.serving.intent.artifact import IntentArtifact, calibration_record, stored_term
from mangaassist.serving.intent.encoder_head import KernelTerm
from mangaassist.serving.intent.features import (
    BUCKETS,
    CHARACTER_BUCKETS,
    MAX_CHARS,
    ngram_buckets,
    normalise,
)
from mangaassist.serving.intent.first_stage import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

VECTOR_KERNEL = KernelShape(dimension=128, width=2.0, weight=1.0)
LAYERS_KERNEL = KernelShape(dimension=192, width=1.0, weight=3.0)
OUT_OF_SCOPE_LABELS = ("out_of_scope", "oos")
Report = Callable[[str], None]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentExample:
    """One labelled text."""

    text: str
    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncodings:
    """Texts as an encoder sees them: a row each, of which the first `dimension` columns are its vector."""

    values: Floats
    dimension: int
    encoder_version: str

    @property
    def parts(self) -> tuple[range, range]:
        """The columns of the vector, and those of the middle layers."""
        return range(self.dimension), range(self.dimension, self.values.shape[1])

    def of(self, rows: NDArray[np.bool_]) -> TextEncodings:
        """Return those of some texts."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentTrainingConfig:
    """The settings of training; the defaults were chosen by cross-validation, see docs/intents.md."""

    vector_kernel: KernelShape = VECTOR_KERNEL
    layers_kernel: KernelShape = LAYERS_KERNEL
    ngram_weight: float = 0.6
    word_factor: float = 2.0
    ridge: float = 0.3
    first_ridge: float = 0.3
    max_support: int = 4_096
    max_rows: int = 16_384
    max_first_rows: int = 8_192
    least_outside_share: float = 0.05
    escalation_recall: float = 0.985
    sure_precision: float = 0.995
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedIntent:
    """The artifact, and its accuracy on training texts, each scored without itself."""

    artifact: IntentArtifact
    left_out_accuracy: Mapping[str, float] = field(default_factory=dict)


def dataset_hash(examples: Sequence[IntentExample]) -> str:
    """Return 16 hex characters of the labelled texts, whatever their order."""
    rows = sorted(json.dumps([example.text, example.intent]) for example in examples)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def find_outside_label(labels: Sequence[str]) -> str | None:
    """Return the label that marks out-of-scope texts, if there is one."""
    return next((label for label in OUT_OF_SCOPE_LABELS if label in labels), None)


def train_intent(
    examples: Sequence[IntentExample],
    *,
    encodings: TextEncodings | None,
    config: IntentTrainingConfig,
    provenance: Mapping[str, Any],
    report: Report = lambda _: None,
) -> TrainedIntent:
    """Fit both stages and their calibration.

    `encodings` are the examples' in their order, None to train the first stage alone. Raises
    `InvalidRequestError` for fewer than two labels.
    """
    labels = tuple(sorted({example.intent for example in examples}))
    if len(labels) < 2:
        raise InvalidRequestError(f"training needs at least two intents, got {labels!r}")
    outside_label = find_outside_label(labels)
    truth = np.array([labels.index(example.intent) for example in examples], dtype=np.intp)
    targets = np.eye(len(labels), dtype=np.float32)[truth]
    report("reading n-grams")
    idf, ngrams = ngram_matrix([example.text for example in examples], config.word_factor)
    aims = CalibrationTargets(
        least_outside_share=config.least_outside_share,
        recalls={"escalation": config.escalation_recall},
        sure_precision=config.sure_precision,
    )

    def calibrated(scores: Floats, rows: Rows) -> dict[str, Any]:
        calibration = calibrate(scores, truth[rows], labels=labels, outside_label=outside_label, targets=aims)
        return calibration_record(calibration)

    report("training the first stage")
    most = config.max_first_rows if encodings is None else config.max_rows
    joint_rows = _sample(truth, most, config.seed)
    products = _products(ngrams[joint_rows])
    # a smaller sample is part of a larger one
    rows = _sample(truth, config.max_first_rows, config.seed)
    among = np.searchsorted(joint_rows, rows)
    first = fit_ridge(products[np.ix_(among, among)], targets[rows], ridge=config.first_ridge)
    arrays: dict[str, NDArray[np.generic]] = {"idf": idf.astype(np.float16)}
    arrays |= quantised("first_rows", _fold(ngrams[rows], first), axis=0)
    decisions: dict[str, Any] = {
        "labels": list(labels),
        "outside_label": outside_label,
        "first_calibration": calibrated(first.left_out_scores, rows),
        "encoder_version": None if encodings is None else encodings.encoder_version,
    }
    accuracy = {"first_stage": _accuracy(first.left_out_scores, truth[rows])}
    if encodings is not None:
        report("training the encoder head")
        rows = joint_rows
        kernel = {"vector": config.vector_kernel, "layers": config.layers_kernel}
        views = [
            principal_view(encodings.values[rows], columns, dimension=shape.dimension)
            for columns, shape in zip(encodings.parts, kernel.values(), strict=True)
        ]
        landmarks = KernelLandmarks(
            [view.of(encodings.values[rows]) for view in views],
            _sample(truth[rows], config.max_support, config.seed),
            terms=list(kernel.values()),
        )
        gram = landmarks.gram()
        products *= np.float32(config.ngram_weight)
        gram += products
        fit = fit_ridge(gram, targets[rows], ridge=config.ridge)
        arrays["coefficients"] = landmarks.on_support(fit.coefficients)
        arrays |= quantised(
            "encoder_rows", np.float32(config.ngram_weight) * _fold(ngrams[rows], fit), axis=0
        )
        decisions["encoding_width"] = encodings.values.shape[1]
        decisions["kernel"] = {}
        for (name, shape), view, support in zip(kernel.items(), views, landmarks.supports, strict=True):
            term = KernelTerm(view=view, width=shape.width, weight=shape.weight, support=support)
            stored, decisions["kernel"][name] = stored_term(name, term)
            arrays |= stored
        decisions["encoder_calibration"] = calibrated(fit.left_out_scores, rows)
        accuracy["encoder"] = _accuracy(fit.left_out_scores, truth[rows])
    artifact = IntentArtifact(
        arrays=arrays,
        decisions=decisions,
        provenance={
            "dataset_hash": dataset_hash(examples),
            "examples": len(examples),
            "config": asdict(config),
            "features": {"buckets": BUCKETS, "max_chars": MAX_CHARS},
            "left_out_accuracy": accuracy,
            **provenance,
        },
    )
    return TrainedIntent(artifact=artifact, left_out_accuracy=accuracy)


def ngram_matrix(texts: Sequence[str], word_factor: float) -> tuple[Floats, csr_matrix]:
    """Return the weight of every bucket, and the texts' unit-length n-gram vectors as sparse rows."""
    from scipy.sparse import csr_matrix

    found = [ngram_buckets(normalise(text)) for text in texts]
    columns = np.concatenate(found)
    frequency = np.bincount(columns, minlength=BUCKETS)
    idf = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
    idf[CHARACTER_BUCKETS:] *= np.float32(word_factor)
    # what is stored is half precision, so train on exactly that
    idf = idf.astype(np.float16).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum([len(buckets) for buckets in found])])
    matrix = csr_matrix((idf[columns], columns, starts), shape=(len(texts), BUCKETS))
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.maximum(lengths, 1e-9), np.diff(starts)).astype(np.float32)
    return idf, matrix


def _products(ngrams: csr_matrix) -> Floats:
    """Return the products of all pairs of rows."""
    products: Floats = (ngrams @ ngrams.T).toarray()
    return products


def _fold(ngrams: csr_matrix, fit: RidgeFit) -> Floats:
    """Fold the rows of a fit into one row a bucket."""
    return np.asarray(ngrams.T @ fit.coefficients, dtype=np.float32)


def _accuracy(scores: Floats, truth: NDArray[np.intp]) -> float:
    return round(float((scores.argmax(axis=1) == truth).mean()), 4)


def _sample(truth: NDArray[np.intp], most: int, seed: int) -> Rows:
    """Return all rows, or `most` of them with every label in its share."""
    if len(truth) <= most:
        return np.arange(len(truth))
    order = np.random.default_rng(seed).permutation(len(truth))
    # the position of a row among those of its label, relative to how many the label has
    share = np.empty(len(truth))
    for label in np.unique(truth):
        mine = order[truth[order] == label]
        share[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return np.sort(order[np.argsort(share[order], kind="stable")[:most]])
