"""Reads a BEIR-like folder: corpus, queries, judgements, and training queries where there are any.

| file | one JSON object a line |
|---|---|
| corpus.jsonl | `_id`, `text`, optionally `title` |
| queries.jsonl, queries.train.jsonl | `_id`, `text` |
| qrels.jsonl, qrels.train.jsonl | `query_id`, `doc_id`, `score` (0: judged not relevant) |

Either the plain pair or the training pair of files may be missing, not both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mangaassist.domain.errors import InvalidRequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text of the corpus."""

    doc_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedQuery:
    """A query with the documents that answer it; grades are above 0."""

    query_id: str
    text: str
    relevant: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalCollection:
    """A corpus with judged queries; `train` is empty when no training files exist."""

    documents: tuple[Document, ...]
    test: tuple[JudgedQuery, ...]
    train: tuple[JudgedQuery, ...]


def read_collection(folder: Path) -> RetrievalCollection:
    """Return the collection, or raise `InvalidRequestError` naming file and line."""
    if not folder.is_dir():
        raise InvalidRequestError(f"{str(folder)!r} is not a folder")
    documents = tuple(_documents(folder / "corpus.jsonl"))
    if not documents:
        raise InvalidRequestError(f"{str(folder / 'corpus.jsonl')!r} holds no document")
    known = {document.doc_id for document in documents}
    test = _judged(folder / "queries.jsonl", folder / "qrels.jsonl", known=known)
    train = _judged(folder / "queries.train.jsonl", folder / "qrels.train.jsonl", known=known)
    if not test and not train:
        raise InvalidRequestError(
            f"{str(folder)!r} holds no judged query; expected queries.jsonl and qrels.jsonl, or "
            "queries.train.jsonl and qrels.train.jsonl"
        )
    return RetrievalCollection(documents=documents, test=test, train=train)


def _documents(path: Path) -> Iterator[Document]:
    seen: set[str] = set()
    for line, row in _rows(path):
        doc_id = _text(row, "_id", path=path, line=line)
        if doc_id in seen:
            raise _fault(path, line, f"document {doc_id!r} appears twice")
        seen.add(doc_id)
        title = row.get("title") or ""
        if not isinstance(title, str):
            raise _fault(path, line, f"'title' must be text, got {title!r}")
        yield Document(doc_id=doc_id, title=title, text=_text(row, "text", path=path, line=line))


def _judged(queries: Path, qrels: Path, *, known: set[str]) -> tuple[JudgedQuery, ...]:
    """Return the queries that have at least one relevant document, in file order."""
    if not queries.is_file() and not qrels.is_file():
        return ()
    texts: dict[str, str] = {}
    for line, row in _rows(queries):
        query_id = _text(row, "_id", path=queries, line=line)
        if query_id in texts:
            raise _fault(queries, line, f"query {query_id!r} appears twice")
        texts[query_id] = _text(row, "text", path=queries, line=line)
    relevant: dict[str, dict[str, float]] = {}
    for line, row in _rows(qrels):
        query_id = _text(row, "query_id", path=qrels, line=line)
        doc_id = _text(row, "doc_id", path=qrels, line=line)
        score = row.get("score", 1)
        if isinstance(score, bool) or not isinstance(score, (int, float)):
            raise _fault(qrels, line, f"'score' must be a number, got {score!r}")
        if query_id not in texts:
            raise _fault(qrels, line, f"query {query_id!r} is not in {queries.name}")
        if doc_id not in known:
            raise _fault(qrels, line, f"document {doc_id!r} is not in corpus.jsonl")
        if score > 0:
            relevant.setdefault(query_id, {})[doc_id] = float(score)
    return tuple(
        JudgedQuery(query_id=query_id, text=text, relevant=relevant[query_id])
        for query_id, text in texts.items()
        if query_id in relevant
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line numbers and objects; blank lines are passed over."""
    try:
        with path.open("rb") as file:
            for line, raw in enumerate(file, start=1):
                if not raw.strip():
                    continue
                try:
                    row = orjson.loads(raw)
                except orjson.JSONDecodeError as error:
                    raise _fault(path, line, f"not JSON: {error}") from error
                if not isinstance(row, dict):
                    raise _fault(path, line, "expected a JSON object")
                yield line, row
    except OSError as error:
        raise InvalidRequestError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def _text(row: dict[str, Any], field: str, *, path: Path, line: int) -> str:
    """Return a required text; ids may also be whole numbers."""
    value = row.get(field)
    if isinstance(value, int) and not isinstance(value, bool) and field != "text":
        return str(value)
    if not isinstance(value, str) or (not value and field != "text"):
        raise _fault(path, line, f"{field!r} must be text, got {value!r}")
    return value


def _fault(path: Path, line: int, message: str) -> InvalidRequestError:
    return InvalidRequestError(f"{path.name}, line {line}: {message}")
