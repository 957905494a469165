"""Hybrid retrieval of one message: both legs, then the ranker, every step on the trace."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.retrieval import Chunk, Filter, Hit, RetrievalQuery, RetrievalResult, ScoredChunk
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.ports.search_index import SearchIndex
from mangaassist.serving.retrieval.evidence import Evidence, merge_legs
from mangaassist.serving.retrieval.policy import RetrievalPolicy
from mangaassist.serving.retrieval.ranker import LinearRanker, order
from mangaassist.serving.tracing import Span, TraceRecorder

Vector = NDArray[np.float32]

SEARCHED_IN_PLACE_CHUNKS: Final = 2_000
"""Up to here a search takes less CPU than waking another thread and waiting for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    """What the executor thread hands back."""

    chunks: tuple[ScoredChunk, ...]
    candidate_count: int


class Retriever:
    """Finds the chunks an answer may rest on.

    Without an embedder, with one that fails, or with an index that holds no vectors of it, the lexical leg
    answers alone and the span says why. All blocking work of a query is one hop to `executor`, on one whole
    generation; so little that the hop would cost more is done in place.
    """

    def __init__(
        self,
        *,
        index: SearchIndex,
        embedder: TextEmbedder | None,
        ranker: LinearRanker,
        policy: RetrievalPolicy,
        executor: Executor,
    ) -> None:
        self._index = index
        self._embedder = embedder
        self._ranker = ranker
        self._policy = policy
        self._executor = executor

    @property
    def knowledge_version(self) -> str:
        """Content hash of the chunks served now."""
        return self._index.knowledge_version

    @property
    def embedding_version(self) -> str | None:
        """The embedder of queries and chunks; None while retrieval is lexical only."""
        return self._embedding_of(self._index)

    @property
    def reranker_version(self) -> str:
        """Version of the ranker."""
        return self._ranker.version

    @property
    def policy_version(self) -> str:
        """Version of the retrieval policy."""
        return self._policy.version

    async def retrieve(
        self, query: RetrievalQuery, *, vector: Vector | None = None, trace: TraceRecorder
    ) -> RetrievalResult:
        """Return the best chunks; `vector` is the embedding of `query.text` where it is known already."""
        text = query.text[: self._policy.max_query_chars]
        with trace.span("retrieve_chunks", "RETRIEVER") as span:
            span.set(
                query_text_hash=hashlib.sha256(query.text.encode("utf-8", "replace")).hexdigest()[:16],
                metadata_filters=tuple(_describe(one) for one in query.filters),
                retriever_policy_version=self.policy_version,
            )
            embedded = await self._embed(text, vector, trace=trace)
            if self._index.size <= SEARCHED_IN_PLACE_CHUNKS:
                index, ranked = self._search(query, text, embedded, trace, span)
            else:
                index, ranked = await asyncio.get_running_loop().run_in_executor(
                    self._executor, self._search, query, text, embedded, trace, span
                )
            embedding_version = self._embedding_of(index)
            legs = ("lexical",) if embedded is None or embedding_version is None else ("dense", "lexical")
            span.set(
                query_embedding_model=embedding_version,
                knowledge_version=index.knowledge_version,
                candidate_count=ranked.candidate_count,
                top_chunk_ids=tuple(scored.chunk.chunk_id for scored in ranked.chunks),
                source_types=tuple(dict.fromkeys(scored.chunk.kind for scored in ranked.chunks)),
                reranker_version=self.reranker_version,
                legs=legs,
            )
        return RetrievalResult(
            chunks=ranked.chunks,
            candidate_count=ranked.candidate_count,
            legs=legs,
            filters=query.filters,
            knowledge_version=index.knowledge_version,
            embedding_version=embedding_version,
            reranker_version=self.reranker_version,
            policy_version=self.policy_version,
        )

    async def _embed(self, text: str, vector: Vector | None, *, trace: TraceRecorder) -> Vector | None:
        """Return the query's vector, or None when the lexical leg has to do."""
        with trace.span("embed_query", "EMBEDDING") as span:
            embedder = self._embedder
            if embedder is None or not self._policy.dense:
                span.set(skipped="no embedder" if embedder is None else "the policy is lexical")
                return None
            span.set(query_embedding_model=embedder.version, reused=vector is not None)
            if vector is not None:
                return vector
            try:
                return await embedder.embed_query(text)
            except (
                Exception
            ) as error:  # the embedder's boundary: whatever it raises, words can still be searched
                span.error = type(error).__name__
                span.set(skipped="the embedder failed")
                return None

    def _search(
        self, query: RetrievalQuery, text: str, vector: Vector | None, trace: TraceRecorder, parent: Span
    ) -> tuple[SearchIndex, _Ranked]:
        """Run both legs and the ranker; nothing else records on this request meanwhile."""
        index = self._index.pinned()
        limit = query.candidate_count
        dense: list[Hit] | None = None
        with trace.span("vector_search", "RETRIEVER", parent=parent) as span:
            if vector is not None and self._embedding_of(index) is not None:
                dense = index.dense(vector, limit=limit, filters=query.filters)
                span.set(candidate_count=len(dense))
            else:
                span.set(candidate_count=0, skipped=self._why_not_dense(index, vector))
        with trace.span("keyword_search", "RETRIEVER", parent=parent) as span:
            lexical = index.lexical(text, limit=limit, filters=query.filters)
            span.set(candidate_count=len(lexical))
        with trace.span("rerank_chunks", "RERANKER", parent=parent) as span:
            evidence, chunks = merge_legs(index, text, vector, lexical=lexical, dense=dense)
            scores = self._ranker.scores(evidence)
            ranked = order(evidence, scores)[: query.top_k]
            span.set(
                reranker_version=self.reranker_version, input_count=len(chunks), output_count=len(ranked)
            )
            best = tuple(_scored(chunks[at], evidence, at, rerank_score=float(scores[at])) for at in ranked)
            span.set(latency_ms=round(span.duration_ms, 3))
        return index, _Ranked(chunks=best, candidate_count=len(chunks))

    def _embedding_of(self, index: SearchIndex) -> str | None:
        """Return the embedder's version when the index holds its vectors and the policy uses them."""
        if self._embedder is None or not self._policy.dense:
            return None
        return self._embedder.version if index.embedding_version == self._embedder.version else None

    def _why_not_dense(self, index: SearchIndex, vector: Vector | None) -> str:
        if vector is None:
            return "no query vector"
        held = index.embedding_version
        return "the index is lexical" if held is None else f"the index holds vectors of {held}"


def _scored(chunk: Chunk, evidence: Evidence, at: int, *, rerank_score: float) -> ScoredChunk:
    return ScoredChunk(
        chunk=chunk,
        score=rerank_score,
        dense_score=None if evidence.dense is None else float(evidence.dense[at]),
        lexical_score=None if evidence.lexical is None else float(evidence.lexical[at]),
        rerank_score=rerank_score,
    )


def _describe(condition: Filter) -> str:
    return f"{condition.field} {condition.op} {','.join(str(value) for value in condition.values)}"
