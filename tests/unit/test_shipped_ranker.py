"""The shipped ranker on real questions: never much worse than its better leg, without any labels."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import orjson
import pytest

from mangaassist.bootstrap.encoder import open_embedder
from mangaassist.control.evaluation.retrieval import score_rankings, search_all
from mangaassist.control.evaluation.retrieval_data import JudgedQuery
from mangaassist.serving.retrieval.ranker import shipped_ranker
from tests.support.search import EMBEDDING, build, chunk, open_index

ARTICLES = Path(__file__).parents[2] / "stores" / "jp-manga" / "policies" / "articles.jsonl"
TOLERANCE = 0.005


@pytest.mark.encoder
@pytest.mark.slow
def test_fusion_keeps_up_with_its_better_leg_on_the_stores_own_questions(tmp_path: Path) -> None:
    embedder = open_embedder()
    if embedder is None:
        pytest.skip("the encoder is not cached; run `mangaassist models fetch`")
    rows = [orjson.loads(line) for line in ARTICLES.read_bytes().splitlines()]
    articles = [chunk(row["article_id"], row["title"], row["body"]) for row in rows]
    build(tmp_path, articles, embedder.embed([f"{one.title}. {one.text}" for one in articles]))
    asked = [(row["article_id"], question) for row in rows for question in row["questions"]]
    sample = Random(1).sample(asked, 200)
    queries = [JudgedQuery(query_id=text, text=text, relevant={one: 1.0}) for one, text in sample]
    vectors = dict(
        zip((text for _, text in sample), embedder.embed([text for _, text in sample]), strict=True)
    )
    index = open_index(tmp_path)
    assert index.embedding_version == EMBEDDING
    searched = search_all(index, queries, vectors.__getitem__, ranker=shipped_ranker())
    fused = score_rankings(searched, [one.unlabelled for one in searched], seed=1)
    legs = [
        score_rankings(searched, [one.legs[leg] for one in searched], seed=1) for leg in ("dense", "lexical")
    ]
    better = max(float(np.mean(leg.per_query["ndcg_at_10"])) for leg in legs)
    assert float(np.mean(fused.per_query["ndcg_at_10"])) >= better - TOLERANCE
