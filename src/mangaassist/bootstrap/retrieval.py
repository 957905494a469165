"""Evaluates retrieval on a BEIR-like folder with this machine's encoder and the production index."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mangaassist.adapters.embedded.search_index import EmbeddedSearchIndex, IndexBuilder
from mangaassist.bootstrap.clock import SystemClock
from mangaassist.bootstrap.encoder import open_embedder
from mangaassist.bootstrap.settings import Settings
from mangaassist.control.evaluation.retrieval import (
    SearchedQuery,
    SystemScores,
    paired_difference,
    score_rankings,
    search_all,
)
from mangaassist.control.evaluation.retrieval_data import Document, JudgedQuery, read_collection
from mangaassist.control.training.ranking import RankingExample, choose_ranker, cross_validate
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.retrieval import Chunk
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.ports.search_index import SearchIndex
from mangaassist.serving.retrieval.ranker import shipped_ranker
from mangaassist.stats.resampling import Estimate

EMBEDDING_WORKERS = 2
EMBEDDED_AT_ONCE = 256
DEPTH = 10

Fusion = Literal["fitted", "cross_validated", "shipped", "lexical_only"]


class EvaluationProgress(Protocol):
    """Who watches an evaluation."""

    def start(self, phase: str, total: int) -> None:
        """A phase of `total` steps begins."""
        ...

    def advance(self, steps: int) -> None:
        """Some steps of the phase are done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalReport:
    """What an evaluation found. `over_best_leg` is the paired nDCG@10 difference to the better leg."""

    document_count: int
    query_count: int
    training_query_count: int
    fusion: Fusion
    ranker_versions: tuple[str, ...]
    embedding_version: str | None
    fused: SystemScores
    unlabelled: SystemScores
    legs: dict[str, SystemScores]
    best_leg: str
    over_best_leg: Estimate
    unlabelled_over_best_leg: Estimate
    latency_p50_ms: float
    latency_p95_ms: float


def evaluate_retrieval(
    folder: Path,
    *,
    settings: Settings,
    progress: EvaluationProgress,
    folds: int = 5,
    dense: bool = True,
    limit: int | None = None,
    seed: int = 7,
) -> RetrievalReport:
    """Index the corpus, answer the queries, measure the fused ranking and each leg."""
    if folds < 2:
        raise InvalidRequestError(f"cross-validation needs at least 2 folds, got {folds}")
    collection = read_collection(folder)
    train, test = collection.train[:limit], collection.test[:limit]
    embedder = open_embedder(settings.cache_dir, workers=EMBEDDING_WORKERS) if dense else None
    with tempfile.TemporaryDirectory(prefix="mangaassist-retrieval-") as scratch:
        index = _index(collection.documents, Path(scratch), embedder, settings=settings, progress=progress)

        def search(phase: str, queries: Sequence[JudgedQuery]) -> list[SearchedQuery]:
            progress.start(phase, len(queries))
            return search_all(
                index,
                queries,
                None if embedder is None else lambda text: embedder.embed([text])[0],
                ranker=shipped_ranker(),
                on_query=lambda: progress.advance(1),
            )

        trained_on = search("training queries", train) if train else []
        evaluated = search("queries", test) if test else trained_on
    rankings, versions, fusion = _fuse(
        trained_on, evaluated, dense=embedder is not None, folds=folds, seed=seed
    )
    return _report(
        evaluated,
        rankings,
        document_count=len(collection.documents),
        training_query_count=len(trained_on),
        fusion=fusion,
        ranker_versions=versions,
        embedding_version=None if embedder is None else embedder.version,
        seed=seed,
    )


def _fuse(
    trained_on: Sequence[SearchedQuery],
    evaluated: Sequence[SearchedQuery],
    *,
    dense: bool,
    folds: int,
    seed: int,
) -> tuple[list[tuple[str, ...]], tuple[str, ...], Fusion]:
    """Return the fused rankings of the evaluated queries, by which rankers, and how those were found."""
    unlabelled = [one.unlabelled for one in evaluated]
    if not dense:
        return unlabelled, (), "lexical_only"
    if not trained_on:
        return unlabelled, (shipped_ranker().version,), "shipped"
    examples = [RankingExample(evidence=one.evidence, relevant=one.query.relevant) for one in trained_on]
    if trained_on is evaluated:
        if len(examples) < folds:
            raise InvalidRequestError(
                f"{folds} folds need at least as many queries; there are {len(examples)}"
            )
        folded = cross_validate(examples, folds=folds, seed=seed)
        return list(folded.rankings), folded.chosen, "cross_validated"
    ranker = choose_ranker(examples, folds=folds, seed=seed)
    return [ranker.ranking(one.evidence) for one in evaluated], (ranker.version,), "fitted"


def _report(
    evaluated: Sequence[SearchedQuery],
    rankings: Sequence[tuple[str, ...]],
    *,
    document_count: int,
    training_query_count: int,
    fusion: Fusion,
    ranker_versions: tuple[str, ...],
    embedding_version: str | None,
    seed: int,
) -> RetrievalReport:
    fused = score_rankings(evaluated, rankings, seed=seed)
    unlabelled = score_rankings(evaluated, [one.unlabelled for one in evaluated], seed=seed)
    legs = {
        name: score_rankings(evaluated, [one.legs[name] for one in evaluated], seed=seed)
        for name in sorted(evaluated[0].legs)
    }
    best_leg = max(legs, key=lambda name: legs[name].estimates["ndcg_at_10"].mean)
    latencies = [one.latency_ms for one in evaluated]
    return RetrievalReport(
        document_count=document_count,
        query_count=len(evaluated),
        training_query_count=training_query_count,
        fusion=fusion,
        ranker_versions=ranker_versions,
        embedding_version=embedding_version,
        fused=fused,
        unlabelled=unlabelled,
        legs=legs,
        best_leg=best_leg,
        over_best_leg=paired_difference(fused, legs[best_leg], metric="ndcg_at_10", seed=seed),
        unlabelled_over_best_leg=paired_difference(
            unlabelled, legs[best_leg], metric="ndcg_at_10", seed=seed
        ),
        latency_p50_ms=float(np.percentile(latencies, 50)),
        latency_p95_ms=float(np.percentile(latencies, 95)),
    )


def _index(
    documents: Sequence[Document],
    index_dir: Path,
    embedder: TextEmbedder | None,
    *,
    settings: Settings,
    progress: EvaluationProgress,
) -> SearchIndex:
    vectors = None
    if embedder is not None:
        texts = [f"{one.title}. {one.text}" if one.title else one.text for one in documents]
        vectors = cached_vectors(texts, embedder, folder=settings.cache_dir / "retrieval", progress=progress)
    builder = IndexBuilder(index_dir, embedding_version=None if embedder is None else embedder.version)
    progress.start("indexing", len(documents))
    for at, one in enumerate(documents):
        chunk = Chunk(chunk_id=one.doc_id, kind="document", ref=one.doc_id, title=one.title, text=one.text)
        builder.add(chunk, None if vectors is None else vectors[at])
        progress.advance(1)
    builder.commit()
    return EmbeddedSearchIndex(index_dir, clock=SystemClock()).pinned()


def cached_vectors(
    texts: Sequence[str], embedder: TextEmbedder, *, folder: Path, progress: EvaluationProgress
) -> NDArray[np.float32]:
    """Return the texts' vectors; embedded once for one corpus and one embedder, then read from `folder`."""
    digest = hashlib.sha256(embedder.version.encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode("utf-8", "replace")).digest())
    path = folder / f"{digest.hexdigest()[:24]}.npy"
    if path.is_file():
        stored: NDArray[np.float32] = np.load(path)
        return stored
    progress.start("embedding", len(texts))
    vectors = np.empty((len(texts), embedder.dimension), dtype=np.float32)
    # texts of like length together: a batch is as slow as its longest text
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for start in range(0, len(texts), EMBEDDED_AT_ONCE):
        batch = order[start : start + EMBEDDED_AT_ONCE]
        vectors[batch] = embedder.embed([texts[at] for at in batch])
        progress.advance(len(batch))
    _save(path, lambda temporary: np.save(temporary, vectors))
    return vectors


def _save(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside the target and rename, so that a half-written file is never read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{os.getpid()}-{path.name}")
    write(temporary)
    temporary.replace(path)
