"""Chunks, queries and results of hybrid retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ChunkKind = Literal["series", "product", "faq", "policy", "promotion", "document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One retrievable text. `ref` is the id of the thing it describes (series, article, ...).

    `metadata` holds the filterable fields: strings, numbers, booleans or tuples of strings.
    """

    chunk_id: str
    kind: ChunkKind
    ref: str
    title: str
    text: str
    metadata: Mapping[str, str | int | float | bool | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """An exact condition on chunk metadata; a chunk without the field does not match.

    `in` compares with any of `values` (a tuple-valued field matches when it shares one), `not_in` with
    none (a missing field matches), `lte`/`gte` compare numbers with `values[0]`.
    """

    field: str
    op: Literal["in", "not_in", "lte", "gte"]
    values: tuple[str | int | float | bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalQuery:
    """What to look for."""

    text: str
    filters: tuple[Filter, ...] = ()
    candidate_count: int = 50
    top_k: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk found by one leg, best first; `score` is the leg's own (higher is better)."""

    chunk_id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredChunk:
    """A chunk in the final ranking with the scores of every leg (None: leg did not return it)."""

    chunk: Chunk
    score: float
    dense_score: float | None = None
    lexical_score: float | None = None
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalResult:
    """The final ranking and how it came about."""

    chunks: tuple[ScoredChunk, ...]
    candidate_count: int
    legs: tuple[str, ...]
    filters: tuple[Filter, ...]
    knowledge_version: str
    embedding_version: str | None
    reranker_version: str
    policy_version: str
