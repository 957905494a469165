"""The retriever: both legs on the trace, one leg when the other is missing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.domain.retrieval import Filter, RetrievalQuery
from mangaassist.domain.trace import FinishedSpan
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.serving.retrieval.policy import RetrievalPolicy
from mangaassist.serving.retrieval.ranker import shipped_ranker
from mangaassist.serving.retrieval.retriever import Retriever
from mangaassist.serving.tracing import TraceRecorder
from tests.support.clock import FakeClock, SequentialIds
from tests.support.search import BruteForceIndex, LetterEmbedder, chunk

CHUNKS = [
    chunk("berserk", "Berserk", "a lone swordsman hunts demons", min_age=18),
    chunk("vinland", "Vinland Saga", "vikings and revenge", min_age=16),
    chunk("yotsuba", "Yotsuba&!", "a curious girl and her neighbours", min_age=0),
]


class FailingEmbedder(LetterEmbedder):
    """An embedder whose model is gone."""

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        raise DependencyUnavailableError("the encoder is closed")


class ForbiddenEmbedder(LetterEmbedder):
    """An embedder that must not be asked."""

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        raise AssertionError("the vector was known already")


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def trace() -> TraceRecorder:
    return TraceRecorder(clock=FakeClock(), ids=SequentialIds())


def retriever(
    executor: Executor, embedder: TextEmbedder | None, policy: RetrievalPolicy | None = None
) -> Retriever:
    vectors = LetterEmbedder().embed([f"{one.title} {one.text}" for one in CHUNKS])
    return Retriever(
        index=BruteForceIndex(CHUNKS, vectors),
        embedder=embedder,
        ranker=shipped_ranker(),
        policy=policy or RetrievalPolicy(),
        executor=executor,
    )


def spans(trace: TraceRecorder) -> dict[str, FinishedSpan]:
    finished = trace.trace(response_id="r", session_id="s", request_preview="", response_preview="")
    return {span.name: span for span in finished.spans}


async def test_the_span_tree_is_that_of_the_trace_contract(executor: Executor, trace: TraceRecorder) -> None:
    query = RetrievalQuery(
        text="a swordsman hunting demons", filters=(Filter(field="min_age", op="lte", values=(18,)),), top_k=2
    )
    with trace.span("handle_message"):
        result = await retriever(executor, LetterEmbedder()).retrieve(query, trace=trace)
    found = spans(trace)
    parent = found["retrieve_chunks"]
    children = ("embed_query", "vector_search", "keyword_search", "rerank_chunks")
    assert [found[name].parent_id for name in children] == [parent.span_id] * 4
    assert parent.attributes["query_embedding_model"] == LetterEmbedder().version
    assert parent.attributes["candidate_count"] == 3
    assert parent.attributes["top_chunk_ids"] == tuple(one.chunk.chunk_id for one in result.chunks)
    assert parent.attributes["source_types"] == ("series",)
    assert parent.attributes["metadata_filters"] == ("min_age lte 18",)
    assert len(str(parent.attributes["query_text_hash"])) == 16
    rerank = found["rerank_chunks"].attributes
    assert (rerank["reranker_version"], rerank["input_count"], rerank["output_count"]) == (
        shipped_ranker().version,
        3,
        2,
    )
    assert "latency_ms" in rerank
    assert result.chunks[0].chunk.chunk_id == "berserk"
    assert result.legs == ("dense", "lexical")
    assert (result.chunks[0].dense_score or 0) > 0.5


async def test_filters_hold_for_every_result(executor: Executor, trace: TraceRecorder) -> None:
    query = RetrievalQuery(text="swordsman", filters=(Filter(field="min_age", op="lte", values=(16,)),))
    result = await retriever(executor, LetterEmbedder()).retrieve(query, trace=trace)
    assert {one.chunk.chunk_id for one in result.chunks} == {"vinland", "yotsuba"}


@pytest.mark.parametrize(
    ("embedder", "policy"),
    [
        (None, RetrievalPolicy()),
        (FailingEmbedder(), RetrievalPolicy()),
        (LetterEmbedder("another-embedding"), RetrievalPolicy()),
        (LetterEmbedder(), RetrievalPolicy(dense=False)),
    ],
    ids=["no embedder", "failing embedder", "vectors of another embedder", "lexical policy"],
)
async def test_words_are_searched_alone_when_vectors_are_of_no_use(
    executor: Executor, trace: TraceRecorder, embedder: TextEmbedder | None, policy: RetrievalPolicy
) -> None:
    result = await retriever(executor, embedder, policy).retrieve(RetrievalQuery(text="vikings"), trace=trace)
    assert [one.chunk.chunk_id for one in result.chunks] == ["vinland"]
    assert result.legs == ("lexical",)
    assert result.chunks[0].dense_score is None
    assert spans(trace)["vector_search"].attributes["skipped"]


async def test_a_failing_embedder_marks_its_span_and_no_other(
    executor: Executor, trace: TraceRecorder
) -> None:
    await retriever(executor, FailingEmbedder()).retrieve(RetrievalQuery(text="vikings"), trace=trace)
    statuses = {name: span.status for name, span in spans(trace).items()}
    assert [name for name, status in statuses.items() if status == "error"] == ["embed_query"]


async def test_a_known_query_vector_is_reused(executor: Executor, trace: TraceRecorder) -> None:
    text = "vikings and revenge"
    vector: NDArray[np.float32] = LetterEmbedder().embed([text])[0]
    result = await retriever(executor, ForbiddenEmbedder()).retrieve(
        RetrievalQuery(text=text), vector=vector, trace=trace
    )
    assert result.chunks[0].chunk.chunk_id == "vinland"
    assert spans(trace)["embed_query"].attributes["reused"] is True


@pytest.mark.parametrize("text", ["", "???", "word " * 10_000, "\ud800"])
async def test_any_text_can_be_asked(executor: Executor, trace: TraceRecorder, text: str) -> None:
    result = await retriever(executor, LetterEmbedder()).retrieve(RetrievalQuery(text=text), trace=trace)
    assert len(result.chunks) == 3


def test_versions_name_what_is_pinned_by_a_bundle(executor: Executor) -> None:
    made = retriever(executor, LetterEmbedder())
    assert made.embedding_version == LetterEmbedder().version
    assert made.knowledge_version == "brute-force"
    assert made.reranker_version.startswith("shipped-")
    assert made.policy_version != retriever(executor, None, RetrievalPolicy(dense=False)).policy_version
