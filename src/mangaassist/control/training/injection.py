"""Trains the injection model; the same inputs and seed give the same version.

The linear model is trained on windows: at first on whole texts, then on the windows that it finds most
suspicious (multiple-instance learning: an attack has at least one bad window, a benign text none). How its
scores combine, and where the operating point lies, is fitted on texts of sources that the model at hand
was not trained on, so that both reflect attacks it has never seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mangaassist.control.training.injection_data import (
    OWN,
    InjectionMaterial,
    family_of,
    vocabulary_words,
)
from mangaassist.domain.labelled_texts import LabelledText
from mangaassist.serving.guardrails.injection.artifact import InjectionArtifact
from mangaassist.serving.guardrails.injection.features import BUCKETS, GROUP_STARTS, FeatureReader
from mangaassist.serving.guardrails.injection.model import (
    GROUP_PRIORS,
    GROUP_WEIGHTS,
    MOST_ENCODED,
    Combination,
    Floats,
    WindowScores,
    summarised,
)
from mangaassist.serving.guardrails.injection.views import normalised
from mangaassist.serving.guardrails.injection.windows import LONGEST, windows_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Report = Callable[[str, int, int], None]
Embed = Callable[[Sequence[str]], Floats]
Rows = NDArray[np.intp]
OWN_FOLDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionTrainingConfig:
    """The settings of training, chosen on the tuning file by leaving sources out."""

    inverse_penalty: float = 4.0
    encoder_inverse_penalty: float = 2.0
    rounds: int = 2
    windows_a_text: int = 2
    extra_benign_windows: int = 2
    look_alike_false_alarms: float = 0.04
    shop_false_alarms: float = 0.0005
    ask_encoder_from: float = 0.05
    ask_encoder_to: float = 0.97
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearFit:
    """A linear model over hashed features."""

    weights: Floats
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutScores:
    """Every row scored by a model trained without its source's family.

    `combined` is the logit without encoder, `joint` with it (None where there is no encoder); the operating
    point is 0 in both.
    """

    rows: tuple[LabelledText, ...]
    combined: NDArray[np.float64]
    joint: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedInjection:
    """The artifact, and the scores of rows that were left out."""

    artifact: InjectionArtifact
    left_out: LeftOutScores


class WindowedTexts:
    """The features of all windows of many texts, as sentence counts that windows add up."""

    def __init__(self, texts: Sequence[str], reader: FeatureReader, report: Report) -> None:
        from scipy.sparse import csr_matrix

        self.texts = [normalised(text) for text in texts]
        columns: list[NDArray[np.intp]] = []
        rows: list[NDArray[np.intp]] = []
        first_window, members, starts, spans = [0], [], [0], []
        sentences = 0
        for number, text in enumerate(self.texts):
            if number % 500 == 0:
                report("reading features", number, len(texts))
            features, windows = reader.read(text), windows_of(text)
            bounds = np.array(windows.bounds[1:-1])
            for buckets, positions in zip(features.buckets, features.positions, strict=True):
                columns.append(buckets)
                rows.append(np.searchsorted(bounds, positions, side="right") + sentences)
            for window, (first, last) in enumerate(zip(windows.firsts, windows.lasts, strict=True)):
                members.append(np.arange(first, last) + sentences)
                starts.append(starts[-1] + last - first)
                spans.append(windows.span(window))
            first_window.append(first_window[-1] + len(windows.firsts))
            sentences += len(windows.bounds) - 1
        where, what = np.concatenate(rows), np.concatenate(columns)
        counted = csr_matrix(
            (np.ones(len(what), dtype=np.float32), (where, what)), shape=(sentences, BUCKETS)
        )
        joined = np.concatenate(members)
        self._groups = [
            counted[:, start:end]
            for start, end in zip(GROUP_STARTS, (*GROUP_STARTS[1:], BUCKETS), strict=True)
        ]
        self._windows = csr_matrix(
            (np.ones(len(joined), dtype=np.float32), joined, np.array(starts)), shape=(len(spans), sentences)
        )
        self._scales = [
            weight / np.sqrt(self._windows @ np.asarray(group.sum(axis=1)).ravel() + prior)
            for group, weight, prior in zip(self._groups, GROUP_WEIGHTS, GROUP_PRIORS, strict=True)
        ]
        self.first_window = np.array(first_window)
        self.spans = spans

    def windows(self, text: int) -> NDArray[np.intp]:
        """Return the numbers of a text's windows, the whole text's last."""
        return np.arange(self.first_window[text], self.first_window[text + 1])

    def matrix(self, windows: NDArray[np.intp]) -> csr_matrix:
        """Return the scaled features of some windows."""
        from scipy.sparse import diags, hstack

        chosen = self._windows[windows]
        return hstack(
            [
                diags(scale[windows].astype(np.float32)) @ (chosen @ group)
                for group, scale in zip(self._groups, self._scales, strict=True)
            ],
            format="csr",
        )

    def scores(self, fit: LinearFit) -> NDArray[np.float64]:
        """Return the score of every window."""
        total = np.full(len(self.spans), fit.bias)
        for start, group, scale in zip(GROUP_STARTS, self._groups, self._scales, strict=True):
            total += scale * (self._windows @ (group @ fit.weights[start : start + group.shape[1]]))
        return total

    def read_by_encoder(self, text: int, scores: NDArray[np.float64]) -> str:
        """Return what the encoder would read: a short text whole, of a long one the best window."""
        if len(self.texts[text]) <= LONGEST:
            return self.texts[text][:MOST_ENCODED]
        windows = self.windows(text)[:-1]
        start, end = self.spans[windows[int(np.argmax(scores[windows]))]]
        return self.texts[text][start:end][:MOST_ENCODED]


def train_injection(
    material: InjectionMaterial,
    *,
    embed: Embed | None,
    embedder_version: str | None,
    config: InjectionTrainingConfig,
    provenance: Mapping[str, Any],
    report: Report = lambda *_: None,
) -> TrainedInjection:
    """Fit the model on everything, its combination on left-out sources."""
    rows = material.rows
    truth = np.array([row.is_attack for row in rows])
    reader = FeatureReader(material.concepts)
    windowed = WindowedTexts([row.text for row in rows], reader, report)
    folds = left_out_folds(rows)
    names = sorted(set(folds.tolist()))
    summaries: list[WindowScores | None] = [None] * len(rows)
    windows_read = [""] * len(rows)
    for number, name in enumerate(names):
        report("leaving sources out", number, len(names) + 1)
        fit = fit_windows(windowed, truth, np.flatnonzero(folds != name), config)
        scores = windowed.scores(fit)
        for row in np.flatnonzero(folds == name).tolist():
            summaries[row] = summarised(scores[windowed.windows(row)])
            windows_read[row] = windowed.read_by_encoder(row, scores)
    report("leaving sources out", len(names), len(names) + 1)
    full = fit_windows(windowed, truth, np.arange(len(rows)), config)
    features = np.array([[s.best, s.top] for s in summaries if s is not None])
    weights = _row_weights(rows)
    combination, combined = _combine(features, truth, rows, weights, config)
    arrays: dict[str, NDArray[np.generic]] = {"weights": full.weights.astype(np.float16)}
    decisions: dict[str, Any] = {
        "concepts": {name: list(words) for name, words in material.concepts.items()},
        "bias": full.bias,
        "combination": asdict(combination),
        "encoder": None,
    }
    joint: NDArray[np.float64] | None = None
    if embed is not None:
        vectors = embed(windows_read)
        left_out = np.zeros(len(rows))
        for number, name in enumerate(names):
            report("training the encoder head", number, len(names))
            head = _fit_logistic(vectors[folds != name], truth[folds != name], weights[folds != name], config)
            mine = folds == name
            left_out[mine] = vectors[mine] @ head.weights + head.bias
        head = _fit_logistic(vectors, truth, weights, config)
        together, always = _combine(np.column_stack([features, left_out]), truth, rows, weights, config)
        plain = 1 / (1 + np.exp(-combined))
        asked = (plain >= config.ask_encoder_from) & (plain <= config.ask_encoder_to)
        joint = np.where(asked, always, combined)
        arrays["encoder_weights"] = head.weights
        decisions["encoder"] = {
            "bias": head.bias,
            "embedder_version": embedder_version,
            "combination": asdict(together),
            "ask_from": config.ask_encoder_from,
            "ask_to": config.ask_encoder_to,
        }
    artifact = InjectionArtifact(
        arrays=arrays,
        words=vocabulary_words((row.text for row in rows), material.concepts),
        decisions=decisions,
        provenance={
            "dataset_hash": material.fingerprint,
            "examples": len(rows),
            "sources": dict(material.counts),
            "config": asdict(config),
            **provenance,
        },
    )
    return TrainedInjection(
        artifact=artifact, left_out=LeftOutScores(rows=rows, combined=combined, joint=joint)
    )


def left_out_folds(rows: Sequence[LabelledText]) -> NDArray[np.str_]:
    """Return what is left out together: another source's family; our own families in eight groups."""
    sources = sorted({row.source for row in rows if family_of(row.source) == OWN})
    group = {source: f"{OWN}-{number % OWN_FOLDS}" for number, source in enumerate(sources)}
    # the store's own texts are one source each: leaving one out whole would leave no shop traffic
    spread = {f"{OWN}-utterances", f"{OWN}-documents"}
    return np.array(
        [
            f"{OWN}-{number % OWN_FOLDS}"
            if row.source in spread
            else group.get(row.source, family_of(row.source))
            for number, row in enumerate(rows)
        ]
    )


def fit_windows(
    windowed: WindowedTexts, truth: NDArray[np.bool_], texts: Rows, config: InjectionTrainingConfig
) -> LinearFit:
    """Fit on whole texts, then on each text's most suspicious windows beside it."""
    from sklearn.linear_model import LogisticRegression

    chosen = windowed.first_window[texts + 1] - 1
    labels, weights = truth[texts], np.ones(len(texts))
    fit = LinearFit(weights=np.zeros(BUCKETS, dtype=np.float32), bias=0.0)
    for turn in range(config.rounds):
        if turn:
            chosen, labels, weights = _suspicious(windowed, truth, texts, windowed.scores(fit), config)
        model = LogisticRegression(C=config.inverse_penalty, solver="liblinear", max_iter=200, random_state=0)
        features = windowed.matrix(chosen)
        # the solver's time grows with the columns, also with those that no text uses
        used = np.flatnonzero(np.bincount(features.indices, minlength=BUCKETS))
        model.fit(features[:, used], labels, sample_weight=weights)
        learned = np.zeros(BUCKETS, dtype=np.float32)
        learned[used] = model.coef_[0]
        fit = LinearFit(weights=learned, bias=float(model.intercept_[0]))
    return fit


def _suspicious(
    windowed: WindowedTexts,
    truth: NDArray[np.bool_],
    texts: Rows,
    scores: NDArray[np.float64],
    config: InjectionTrainingConfig,
) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.float64]]:
    chosen: list[int] = []
    labels: list[bool] = []
    weights: list[float] = []
    for text in texts.tolist():
        windows = windowed.windows(text)
        most = config.windows_a_text + (0 if truth[text] else config.extra_benign_windows)
        picked = {int(windows[-1]), *windows[np.argsort(-scores[windows])[:most]].tolist()}
        chosen += sorted(picked)
        labels += [bool(truth[text])] * len(picked)
        weights += [1 / len(picked)] * len(picked)
    return np.array(chosen), np.array(labels), np.array(weights)


def _fit_logistic(
    features: NDArray[Any],
    truth: NDArray[np.bool_],
    weights: NDArray[np.float64],
    config: InjectionTrainingConfig,
) -> LinearFit:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=config.encoder_inverse_penalty, max_iter=500)
    model.fit(features, truth, sample_weight=weights)
    return LinearFit(weights=model.coef_[0].astype(np.float32), bias=float(model.intercept_[0]))


def _row_weights(rows: Sequence[LabelledText]) -> NDArray[np.float64]:
    """Return weights under which large sources count less than in proportion to their size."""
    sizes = {source: sum(row.source == source for row in rows) for source in {row.source for row in rows}}
    weights = np.array([1 / math.sqrt(sizes[row.source]) for row in rows])
    return np.asarray(weights * len(rows) / weights.sum())


def _combine(
    features: NDArray[np.float64],
    truth: NDArray[np.bool_],
    rows: Sequence[LabelledText],
    weights: NDArray[np.float64],
    config: InjectionTrainingConfig,
) -> tuple[Combination, NDArray[np.float64]]:
    """Fit the combination, and move its operating point to where false alarms are as rare as wanted."""
    fit = _fit_logistic(features, truth, weights, config)
    logits = features @ fit.weights.astype(np.float64)
    shop = np.array([row.source == f"{OWN}-utterances" for row in rows])
    look_alike = look_alike_rows(rows)
    threshold = max(
        _score_at(logits[shop], config.shop_false_alarms),
        _score_at(logits[look_alike], config.look_alike_false_alarms),
    )
    best, top, *encoder = (float(weight) for weight in fit.weights)
    combination = Combination(best=best, top=top, offset=-threshold, encoder=encoder[0] if encoder else 0.0)
    return combination, logits - threshold


def look_alike_rows(rows: Sequence[LabelledText]) -> NDArray[np.bool_]:
    """Return which rows are our own benign texts with an attacker's words."""
    plain = (f"{OWN}-utterances", f"{OWN}-documents")
    return np.array(
        [family_of(row.source) == OWN and not row.is_attack and row.source not in plain for row in rows]
    )


def _score_at(benign: NDArray[np.float64], rate: float) -> float:
    """Return the score that at most `rate` of benign texts reach."""
    ordered = np.sort(benign)[::-1]
    allowed = min(math.floor(rate * len(ordered)), len(ordered) - 1)
    return float(ordered[allowed]) + 1e-9
