"""Opens the injection model of a store pack, and trains it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mangaassist.bootstrap.encoder import open_embedder
from mangaassist.ports.embedder import Matrix
from mangaassist.serving.guardrails.injection.artifact import (
    InjectionArtifact,
    read_artifact,
    write_artifact,
)
from mangaassist.serving.guardrails.injection.model import InjectionModel

if TYPE_CHECKING:
    from mangaassist.control.training.injection import TrainedInjection
    from mangaassist.control.training.injection_data import InjectionMaterial
    from mangaassist.domain.labelled_texts import LabelledText

FAMILIES_FOLDER = Path("guardrails") / "injection"
MODEL_NAME = "model"
MOST_UTTERANCES = 3_000
EMBEDDED_AT_ONCE = 256
SEED = 7

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionTraining:
    """A trained artifact, where it was written, and what it reaches on texts that were left out.

    `left_out` has `overall` and `by_source` of the labelled files, each source scored by a model that never
    saw its family; None when trained on our own families alone. `false_alarms` are shares of benign texts.
    """

    artifact: InjectionArtifact
    directory: Path
    left_out: Mapping[str, Any] | None
    false_alarms: Mapping[str, Any]


def load_injection_model(folder: Path) -> InjectionModel | None:
    """Return the model below a `guardrails` folder, None where there is none.

    Raises `ConfigurationError` for a damaged one.
    """
    directory = folder / FAMILIES_FOLDER.name / MODEL_NAME
    return read_artifact(directory).model() if directory.is_dir() else None


def train_store_injection(
    *,
    store_dir: Path,
    cache_dir: Path,
    data: Sequence[Path],
    output: Path | None,
    use_encoder: bool,
    progress: Progress,
) -> InjectionTraining:
    """Train on our own families and the labelled files, measure what was left out, write the artifact."""
    from mangaassist.control.evaluation.guardrail_injection import read_labelled
    from mangaassist.control.training.injection_card import data_card

    labelled = [row for file in data for row in read_labelled(file)]
    material = _material(store_dir, labelled)
    trained = _train(material, cache_dir=cache_dir, use_encoder=use_encoder, progress=progress)
    alarms = _false_alarms(trained, material)
    left_out = _left_out_report(trained, labelled)
    provenance = {
        **trained.artifact.provenance,
        "data": [file.name for file in data],
        "left_out": left_out["overall"] if left_out else None,
        "false_alarms": alarms,
    }
    artifact = InjectionArtifact(
        arrays=trained.artifact.arrays,
        words=trained.artifact.words,
        decisions=trained.artifact.decisions,
        provenance=provenance,
    )
    directory = output or store_dir / FAMILIES_FOLDER / MODEL_NAME
    write_artifact(artifact, directory)
    card = data_card(artifact, store_dir / FAMILIES_FOLDER / "sources.yaml")
    (directory / "DATA_CARD.md").write_text(card, encoding="utf-8")
    return InjectionTraining(artifact=artifact, directory=directory, left_out=left_out, false_alarms=alarms)


def left_out_figures(
    file: Path, *, store_dir: Path, cache_dir: Path, use_encoder: bool, progress: Progress
) -> Mapping[str, Any]:
    """Return the figures of FILE, each source's family scored by a model trained on everything else."""
    from mangaassist.control.evaluation.guardrail_injection import read_labelled

    labelled = read_labelled(file)
    trained = _train(
        _material(store_dir, labelled), cache_dir=cache_dir, use_encoder=use_encoder, progress=progress
    )
    report = _left_out_report(trained, labelled)
    assert report is not None  # the file has rows
    return report


def _material(store_dir: Path, labelled: Sequence[LabelledText]) -> InjectionMaterial:
    from mangaassist.control.training.injection_data import gather_material

    return gather_material(
        families=store_dir / FAMILIES_FOLDER,
        utterances=_texts(sorted((store_dir / "intents").glob("*.jsonl")), "text"),
        documents=[
            *_texts(sorted((store_dir / "series").glob("*.jsonl")), "description"),
            *_texts(sorted((store_dir / "policies").glob("articles.jsonl")), "body"),
        ],
        labelled=labelled,
        most_utterances=MOST_UTTERANCES,
        seed=SEED,
    )


def _texts(files: Sequence[Path], field: str) -> list[str]:
    found = []
    for file in files:
        with file.open(encoding="utf-8") as lines:
            found += [text for line in lines if (text := json.loads(line).get(field))]
    return found


def _train(
    material: InjectionMaterial, *, cache_dir: Path, use_encoder: bool, progress: Progress
) -> TrainedInjection:
    from threadpoolctl import threadpool_limits

    from mangaassist.control.training.injection import InjectionTrainingConfig, train_injection

    embedder = open_embedder(cache_dir) if use_encoder else None

    def embed(texts: Sequence[str]) -> Matrix:
        assert embedder is not None
        parts = []
        for start in range(0, len(texts), EMBEDDED_AT_ONCE):
            progress("embedding", start, len(texts))
            parts.append(embedder.embed(texts[start : start + EMBEDDED_AT_ONCE]))
        return np.concatenate(parts)

    with threadpool_limits(limits=1, user_api="blas"):
        return train_injection(
            material,
            embed=embed if embedder is not None else None,
            embedder_version=embedder.version if embedder is not None else None,
            config=InjectionTrainingConfig(seed=SEED),
            provenance={},
            report=progress,
        )


def _left_out_report(trained: TrainedInjection, labelled: Sequence[LabelledText]) -> Mapping[str, Any] | None:
    from mangaassist.control.evaluation.guardrail_injection import report

    if not labelled:
        return None
    left_out = trained.left_out
    chosen = left_out.combined if left_out.joint is None else left_out.joint
    # the labelled rows come last
    figures = report(labelled, _probabilities(chosen[-len(labelled) :]), None, threshold=0.5)
    alone = report(labelled, _probabilities(left_out.combined[-len(labelled) :]), None, threshold=0.5)
    return {**figures, "overall_without_encoder": alone["overall"]}


def _false_alarms(trained: TrainedInjection, material: InjectionMaterial) -> dict[str, Any]:
    """Count alarms on held-out utterances, and on look-alikes whose group was left out of training."""
    from mangaassist.control.training.injection import look_alike_rows

    model = trained.artifact.model()
    held_out = [model.probability(model.evidence(model.views(text))) for text in material.held_out]
    left_out = trained.left_out
    chosen = left_out.combined if left_out.joint is None else left_out.joint
    look_alikes = chosen[look_alike_rows(left_out.rows)]
    return {
        "utterances_held_out": len(held_out),
        "utterances_flagged": sum(value >= 0.5 for value in held_out),
        "look_alikes": len(look_alikes),
        "look_alikes_flagged_left_out": int((look_alikes >= 0).sum()),
    }


def _probabilities(logits: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    values: list[float] = (1 / (1 + np.exp(-np.clip(logits, -60, 60)))).tolist()
    return values
