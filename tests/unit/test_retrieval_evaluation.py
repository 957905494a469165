"""`retrieval evaluate`: what it reads, what it refuses, what it prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mangaassist.bootstrap.retrieval import cached_vectors
from mangaassist.cli.retrieval import app
from mangaassist.control.evaluation.retrieval_data import read_collection
from mangaassist.domain.errors import InvalidRequestError
from tests.support.search import LetterEmbedder

CORPUS = [
    {"_id": "1", "title": "Berserk", "text": "a lone swordsman hunts demons"},
    {"_id": "2", "title": "Vinland Saga", "text": "vikings and revenge"},
    {"_id": "3", "text": "a girl and her neighbours"},
]
QUERIES = [{"_id": "q1", "text": "swordsman"}, {"_id": "q2", "text": "vikings"}]
QRELS = [{"query_id": "q1", "doc_id": "1", "score": 1}, {"query_id": "q2", "doc_id": "3", "score": 1}]
WHOLE: dict[str, list[dict[str, object]]] = {
    "corpus.jsonl": [dict(row) for row in CORPUS],
    "queries.jsonl": [dict(row) for row in QUERIES],
    "qrels.jsonl": [dict(row) for row in QRELS],
}


class NoProgress:
    """Counts what would be shown."""

    def __init__(self) -> None:
        self.steps = 0

    def start(self, phase: str, total: int) -> None:
        self.steps -= total

    def advance(self, steps: int) -> None:
        self.steps += steps


def write(folder: Path, files: Mapping[str, list[dict[str, object]]]) -> Path:
    for name, rows in files.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_metrics_are_printed_for_the_fused_ranking_and_each_leg(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(write(tmp_path, WHOLE)), "--json", "--no-dense"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    # the first query finds its document at rank 1, the second does not find it at all
    assert (printed["ndcg_at_10"], printed["recall_at_3"], printed["mrr_at_10"]) == (0.5, 0.5, 0.5)
    assert printed["legs"]["lexical"]["ndcg_at_10"] == 0.5
    assert printed["intervals_95"]["ndcg_at_10"] == [0.0, 1.0]
    assert printed["fusion"] == "lexical_only"
    assert printed["latency_ms"]["p95"] >= printed["latency_ms"]["p50"] > 0
    assert (printed["documents"], printed["queries"], printed["training_queries"]) == (3, 2, 0)


def test_the_table_is_printed_without_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(write(tmp_path, WHOLE)), "--no-dense", "--limit", "1"])
    assert result.exit_code == 0, result.output
    assert "1 queries over 3 documents" in result.stdout


def test_training_files_are_read_where_they_exist(tmp_path: Path) -> None:
    files = {
        **WHOLE,
        "queries.train.jsonl": WHOLE["queries.jsonl"],
        "qrels.train.jsonl": WHOLE["qrels.jsonl"],
    }
    collection = read_collection(write(tmp_path, files))
    assert [query.query_id for query in collection.train] == ["q1", "q2"]
    del files["queries.jsonl"], files["qrels.jsonl"]
    only_training = tmp_path / "only-training"
    only_training.mkdir()
    assert read_collection(write(only_training, files)).test == ()


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("corpus.jsonl", "not json", "corpus.jsonl, line 4: not JSON"),
        ("corpus.jsonl", "[1]", "corpus.jsonl, line 4: expected a JSON object"),
        ("corpus.jsonl", '{"_id": "1", "text": "again"}', "line 4: document '1' appears twice"),
        ("corpus.jsonl", '{"_id": "4"}', "line 4: 'text' must be text"),
        ("corpus.jsonl", '{"_id": "4", "text": "t", "title": 3}', "line 4: 'title' must be text"),
        ("queries.jsonl", '{"text": "x"}', "queries.jsonl, line 3: '_id' must be text"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}', "line 3: query 'q1' appears twice"),
        ("qrels.jsonl", '{"query_id": "q9", "doc_id": "1"}', "line 3: query 'q9' is not in queries.jsonl"),
        ("qrels.jsonl", '{"query_id": "q1", "doc_id": "9"}', "line 3: document '9' is not in corpus.jsonl"),
        ("qrels.jsonl", '{"query_id": "q1", "doc_id": "1", "score": "high"}', "'score' must be a number"),
    ],
)
def test_malformed_rows_are_named_by_file_and_line(
    tmp_path: Path, name: str, line: str, message: str
) -> None:
    write(tmp_path, WHOLE)
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidRequestError, match=message):
        read_collection(tmp_path)


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    write(tmp_path, WHOLE)
    (tmp_path / missing).unlink()
    with pytest.raises(InvalidRequestError, match=missing):
        read_collection(tmp_path)


def test_a_folder_without_judged_queries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="no judged query"):
        read_collection(write(tmp_path, {"corpus.jsonl": WHOLE["corpus.jsonl"]}))
    with pytest.raises(InvalidRequestError, match="not a folder"):
        read_collection(tmp_path / "nowhere")


def test_a_corpus_is_embedded_once(tmp_path: Path) -> None:
    class CountingEmbedder(LetterEmbedder):
        calls = 0

        def embed(self, texts):  # type: ignore[no-untyped-def]  # same as the parent
            CountingEmbedder.calls += 1
            return super().embed(texts)

    texts, progress = ["one", "a longer text", "two"], NoProgress()
    first = cached_vectors(texts, CountingEmbedder(), folder=tmp_path, progress=progress)
    again = cached_vectors(texts, CountingEmbedder(), folder=tmp_path, progress=progress)
    assert CountingEmbedder.calls == 1
    assert (first == again).all()
    assert (first == LetterEmbedder().embed(texts)).all()
    assert progress.steps == 0
    cached_vectors(texts, CountingEmbedder("other"), folder=tmp_path, progress=progress)
    assert CountingEmbedder.calls == 2
