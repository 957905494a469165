"""Opens the store's intent classifier, trains it, and evaluates it on any labelled file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mangaassist.bootstrap.encoder import open_embedder
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.intents import Intent
from mangaassist.ports.embedder import TextEncoder
from mangaassist.serving.intent.artifact import MANIFEST_FILE, IntentArtifact, read_artifact, write_artifact
from mangaassist.serving.intent.cascade import IntentCascade
from mangaassist.serving.intent.model import IntentModel
from mangaassist.serving.intent.rules import IntentRules, load_rules

if TYPE_CHECKING:
    from mangaassist.control.evaluation.intents import IntentPrediction, IntentReport, LatencyReport
    from mangaassist.control.training.intent import IntentExample, TextEncodings

MODEL_FOLDER = Path("intents") / "model"
RULES_FILE = Path("intents") / "rules.yaml"
LATENCY_SAMPLE = 300
ENCODED_AT_ONCE = 256
SHIPPED_SUPPORT = 4_096
"""Support vectors of the store's model: what keeps it at 3 MB and a decision short."""

Progress = Callable[[str, int, int], None]
"""Called with the phase, the steps done and the steps in all."""


def _silent(phase: str, done: int, total: int) -> None:
    """Report nothing."""


class Classifiers:
    """The store's classifier with whatever encoder there is now; re-reads a retrained model."""

    def __init__(self, *, store_dir: Path) -> None:
        self._store_dir = store_dir
        self._read_at_ns = -1
        self._model: IntentModel | None = None

    def current(self, encoder: TextEncoder | None) -> IntentCascade:
        """Return the cascade; raises `ConfigurationError` when model or rules cannot be used."""
        directory = self._store_dir / MODEL_FOLDER
        manifest = directory / MANIFEST_FILE
        changed_at_ns = manifest.stat().st_mtime_ns if manifest.is_file() else 0
        if self._model is None or changed_at_ns != self._read_at_ns:
            self._model = read_artifact(directory).model()
            self._read_at_ns = changed_at_ns
        return IntentCascade(self._model, load_rules(self._store_dir / RULES_FILE), encoder)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentTraining:
    """A trained artifact, where it was written, and what it scored on texts held out from training."""

    artifact: IntentArtifact
    directory: Path
    held_out: IntentReport


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentEvaluation:
    """The figures of one evaluation, of which model, trained how."""

    classifier: str
    trained_on: str
    report: IntentReport
    latency: LatencyReport | None


def train_store_intents(
    *,
    store_dir: Path,
    cache_dir: Path,
    data: Sequence[Path] = (),
    output: Path | None = None,
    progress: Progress = _silent,
) -> IntentTraining:
    """Train on four fifths, measure on the rest, then train on everything and write that.

    `data` defaults to the pack's utterances, `output` to the pack's model folder.
    """
    from mangaassist.control.training.intent_data import is_held_out, read_examples

    files = list(data) or sorted((store_dir / "intents").glob("*.jsonl"))
    examples = [example for file in files for example in read_examples(file)]
    encodings = encode_cached(examples, open_embedder(cache_dir), cache_dir=cache_dir, progress=progress)
    held_out = is_held_out(examples)
    trial = _train(examples, ~held_out, encodings, {}, progress, max_support=SHIPPED_SUPPORT)
    rules = load_rules(store_dir / RULES_FILE) if (store_dir / RULES_FILE).is_file() else None
    predictions = _predictions(examples, held_out, encodings, trial.model(), rules)
    report = _summarise(predictions)
    provenance: dict[str, Any] = {
        "data": [file.name for file in files],
        "held_out": {
            "count": report.count,
            "trained_on": len(examples) - report.count,
            "accuracy": report.accuracy.value,
            "escalation_recall": report.per_class_recall["escalation"].value
            if "escalation" in report.per_class_recall
            else None,
            "out_of_scope_auroc": report.out_of_scope_auroc,
            "ece": report.ece,
        },
    }
    everything = np.ones(len(examples), dtype=bool)
    artifact = _train(examples, everything, encodings, provenance, progress, max_support=SHIPPED_SUPPORT)
    directory = output or store_dir / MODEL_FOLDER
    write_artifact(artifact, directory)
    return IntentTraining(artifact=artifact, directory=directory, held_out=report)


def evaluate_intents(
    file: Path,
    *,
    store_dir: Path,
    cache_dir: Path,
    train: Path | None = None,
    split: str | None = None,
    train_split: str | None = None,
    folds: int | None = None,
    use_encoder: bool = True,
    progress: Progress = _silent,
) -> IntentEvaluation:
    """Evaluate the store's model, or one trained first (`train`, `train_split`), or one a fold (`folds`)."""
    from mangaassist.control.training.intent_data import read_examples, stratified_folds

    if folds is not None and (train is not None or train_split is not None):
        raise InvalidRequestError("--folds trains on FILE itself; leave out --train and --train-split")
    if folds is not None and folds < 2:
        raise InvalidRequestError(f"--folds must be at least 2, got {folds}")
    examples = read_examples(file, split=split)
    encoder = open_embedder(cache_dir) if use_encoder else None
    encodings = encode_cached(examples, encoder, cache_dir=cache_dir, progress=progress)
    everything = np.ones(len(examples), dtype=bool)
    rules: IntentRules | None = None
    if folds is not None:
        assigned = stratified_folds(examples, folds, seed=0)
        predictions: list[IntentPrediction] = []
        for fold in range(folds):
            progress("cross-validating", fold, folds)
            artifact = _train(examples, assigned != fold, encodings, {}, progress)
            model = artifact.model()
            predictions += _predictions(examples, assigned == fold, encodings, model, None)
        trained_on = f"{folds} folds of {file.name}"
    elif train is not None or train_split is not None:
        source = train or file
        material = read_examples(source, split=train_split)
        known = encode_cached(material, encoder, cache_dir=cache_dir, progress=progress)
        artifact = _train(material, np.ones(len(material), dtype=bool), known, {}, progress)
        model = artifact.model()
        predictions = _predictions(examples, everything, encodings, model, None)
        trained_on = f"{len(material)} rows of {source.name}"
    else:
        artifact = read_artifact(store_dir / MODEL_FOLDER)
        model, rules = artifact.model(), load_rules(store_dir / RULES_FILE)
        if encoder is not None and not model.understands(encoder.version, encoder.encoding_width):
            encodings = encoder = None
        predictions = _predictions(examples, everything, encodings, model, rules)
        trained_on = "the store pack"
    progress("measuring time", 0, 1)
    return IntentEvaluation(
        classifier=artifact.version,
        trained_on=trained_on,
        report=_summarise(predictions),
        latency=_latency(examples, model, rules, encoder),
    )


def encode_cached(
    examples: Sequence[IntentExample],
    encoder: TextEncoder | None,
    *,
    cache_dir: Path,
    progress: Progress = _silent,
) -> TextEncodings | None:
    """Return the texts' encodings in their order, from the cache where these texts were encoded before."""
    from mangaassist.control.training.intent import TextEncodings

    if encoder is None:
        return None
    texts = sorted({example.text.strip() for example in examples})
    key = hashlib.sha256("\0".join([encoder.version, *texts]).encode("utf-8", "replace")).hexdigest()[:24]
    path = cache_dir / "encodings" / f"{key}.npy"
    if path.is_file():
        known = np.load(path, allow_pickle=False)
    else:
        parts = []
        for start in range(0, len(texts), ENCODED_AT_ONCE):
            progress("encoding", start, len(texts))
            parts.append(encoder.encode(texts[start : start + ENCODED_AT_ONCE]))
        known = np.concatenate(parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.save(file, known)
        temporary.replace(path)
    position = {text: row for row, text in enumerate(texts)}
    return TextEncodings(
        values=known[[position[example.text.strip()] for example in examples]],
        dimension=encoder.dimension,
        encoder_version=encoder.version,
    )


def _train(
    examples: Sequence[IntentExample],
    chosen: np.ndarray[Any, np.dtype[np.bool_]],
    encodings: TextEncodings | None,
    provenance: Mapping[str, Any],
    progress: Progress,
    max_support: int | None = None,
) -> IntentArtifact:
    from mangaassist.control.training.intent import IntentTrainingConfig, train_intent

    config = IntentTrainingConfig()
    return train_intent(
        [example for example, taken in zip(examples, chosen, strict=True) if taken],
        encodings=None if encodings is None else encodings.of(chosen),
        config=config if max_support is None else replace(config, max_support=max_support),
        provenance=provenance,
        report=lambda phase: progress(phase, 0, 1),
    ).artifact


def _predictions(
    examples: Sequence[IntentExample],
    chosen: np.ndarray[Any, np.dtype[np.bool_]],
    encodings: TextEncodings | None,
    model: IntentModel,
    rules: IntentRules | None,
) -> list[IntentPrediction]:
    from mangaassist.control.evaluation.intents import predict

    if not set(model.labels) <= set(Intent):
        rules = None
    return [
        predict(
            examples[row].text,
            examples[row].intent,
            model=model,
            rules=rules,
            encoding=None if encodings is None else encodings.values[row],
        )
        for row in np.flatnonzero(chosen).tolist()
    ]


def _summarise(predictions: Sequence[IntentPrediction]) -> IntentReport:
    from mangaassist.control.evaluation.intents import summarise

    return summarise(predictions)


def _latency(
    examples: Sequence[IntentExample],
    model: IntentModel,
    rules: IntentRules | None,
    encoder: TextEncoder | None,
) -> LatencyReport:
    from threadpoolctl import threadpool_limits

    from mangaassist.control.evaluation.intents import measure_latency

    step = max(1, len(examples) // LATENCY_SAMPLE)
    texts = [example.text for example in examples[::step]]
    encode = None if encoder is None else (lambda text: encoder.encode([text.strip()])[0])
    # as in the server: more threads would spin between products this small and be counted
    with threadpool_limits(limits=1, user_api="blas"):
        return measure_latency(texts, model=model, rules=rules, encode=encode)
