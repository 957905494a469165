"""Search latency and recall at 20,000 chunks: `uv run --no-sync python benchmarks/retrieval.py [--json]`.

Words are drawn by Zipf's law from a vocabulary of 30,000, 60 a chunk; vectors are 384 random dimensions
around 500 centres. Query embedding is not part of it: vectors are given.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mangaassist.adapters.embedded.search_index import EmbeddedSearchIndex, IndexBuilder
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.domain.retrieval import Chunk, Filter, RetrievalQuery
from mangaassist.serving.retrieval.policy import RetrievalPolicy
from mangaassist.serving.retrieval.ranker import shipped_ranker
from mangaassist.serving.retrieval.retriever import Retriever
from mangaassist.serving.tracing import TraceRecorder

CHUNKS, WORDS, DIMENSION, QUERIES, TOP = 20_000, 60, 384, 300, 10
TENTH = (Filter(field="genre", op="in", values=("genre3",)),)


class GivenVectors:
    """Stands for the embedder; every query brings its vector."""

    version = "given"
    dimension = DIMENSION

    def embed(self, texts: object) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        raise AssertionError("not part of this benchmark")

    async def embed_query(self, text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        raise AssertionError("not part of this benchmark")


def percentiles(calls: Callable[[int], object]) -> dict[str, float]:
    """Wall milliseconds of every query, and CPU milliseconds of the process on average."""
    calls(0)
    wall, cpu = [], time.process_time()
    for at in range(QUERIES):
        started = time.perf_counter()
        calls(at)
        wall.append((time.perf_counter() - started) * 1e3)
    p50, p95 = np.percentile(wall, [50, 95])
    cpu_ms = (time.process_time() - cpu) * 1e3 / QUERIES
    return {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2), "cpu_ms": round(cpu_ms, 2)}


def main() -> None:
    generator = np.random.default_rng(0)
    vocabulary = ["".join(generator.choice(list("abdegiklmnorstu"), 7)) for _ in range(30_000)]
    drawn = np.minimum(generator.zipf(1.25, size=(CHUNKS, WORDS)), len(vocabulary)) - 1
    vectors = generator.normal(size=(CHUNKS, DIMENSION)).astype(np.float32)
    vectors += (
        1.5 * generator.normal(size=(500, DIMENSION)).astype(np.float32)[generator.integers(500, size=CHUNKS)]
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    genres = generator.integers(10, size=CHUNKS)
    asked = generator.integers(CHUNKS, size=QUERIES)
    queries = vectors[asked] + 0.03 * generator.normal(size=(QUERIES, DIMENSION)).astype(np.float32)
    texts = [" ".join(vocabulary[word] for word in drawn[at][:8]) for at in asked]
    results: dict[str, object] = {"chunks": CHUNKS}
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(1) as executor:
        started = time.perf_counter()
        builder = IndexBuilder(Path(scratch), embedding_version="given")
        for at in range(CHUNKS):
            words = [vocabulary[word] for word in drawn[at]]
            chunk = Chunk(
                chunk_id=f"{at:06d}",
                kind="series",
                ref="",
                title=" ".join(words[:3]),
                text=" ".join(words[3:]),
                metadata={"genre": f"genre{genres[at]}"},
            )
            builder.add(chunk, vectors[at])
        builder.commit()
        results["build_s"] = round(time.perf_counter() - started, 2)
        index = EmbeddedSearchIndex(Path(scratch), clock=SystemClock())
        started = time.perf_counter()
        assert index.size == CHUNKS
        results["open_ms"] = round((time.perf_counter() - started) * 1e3, 1)
        results["lexical"] = percentiles(lambda at: index.lexical(texts[at], limit=50))
        results["dense"] = percentiles(lambda at: index.dense(queries[at], limit=50))
        results["dense_filtered"] = percentiles(lambda at: index.dense(queries[at], limit=50, filters=TENTH))
        retriever = Retriever(
            index=index,
            embedder=GivenVectors(),
            ranker=shipped_ranker(),
            policy=RetrievalPolicy(),
            executor=executor,
        )
        with asyncio.Runner() as runner:

            def retrieve(at: int, filters: tuple[Filter, ...] = ()) -> object:
                trace = TraceRecorder(clock=SystemClock(), ids=RandomIds())
                query = RetrievalQuery(text=texts[at], filters=filters)
                return runner.run(retriever.retrieve(query, vector=queries[at], trace=trace))

            results["retrieve"] = percentiles(retrieve)
            results["retrieve_filtered"] = percentiles(lambda at: retrieve(at, TENTH))
        for name, filters, rows in (
            ("recall_at_10", (), np.arange(CHUNKS)),
            ("recall_at_10_filtered", TENTH, np.flatnonzero(genres == 3)),
        ):
            exact = queries.astype(np.float64) @ vectors[rows].astype(np.float64).T
            best = rows[np.argsort(-exact, axis=1)[:, :TOP]]
            found = [
                {int(hit.chunk_id) for hit in index.dense(query, limit=TOP, filters=filters)}
                for query in queries
            ]
            shared = [len(one & set(expected)) for one, expected in zip(found, best.tolist(), strict=True)]
            results[name] = sum(shared) / (TOP * QUERIES)
    if "--json" in sys.argv[1:]:
        print(json.dumps(results))
    else:
        for name, value in results.items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
