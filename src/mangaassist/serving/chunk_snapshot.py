"""The chunk snapshot: the exact payloads that one prompt was built from, kept with its trace."""

from __future__ import annotations

import hashlib

import orjson

from mangaassist.serving.exchange import Exchange

ARTIFACT_NAME = "chunk_snapshot.json"


def snapshot_chunks(exchange: Exchange) -> None:
    """Attach the snapshot artifact of an answer that a model is about to write."""
    retrieval = exchange.retrieval
    if retrieval is None:
        return
    chunks = [scored.chunk for scored in retrieval.chunks]
    document = {
        "trace_id": exchange.recorder.trace_id,
        "chunk_ids": [chunk.chunk_id for chunk in chunks],
        "source_types": [chunk.kind for chunk in chunks],
        "retriever_policy_version": retrieval.policy_version,
        "knowledge_version": retrieval.knowledge_version,
        "chunks": [
            {
                "chunk_id": chunk.chunk_id,
                "title": chunk.title,
                "text": chunk.text,
                "sha256": hashlib.sha256(chunk.text.encode()).hexdigest(),
                "score": scored.score,
            }
            for chunk, scored in zip(chunks, retrieval.chunks, strict=True)
        ],
    }
    exchange.recorder.artifacts[ARTIFACT_NAME] = orjson.dumps(document).decode()
