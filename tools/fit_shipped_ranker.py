"""Fits the ranker that serves collections without training queries, and shows that it carries over.

Nine collections of different nature stand in for those we cannot know. For each, the table shows the
ranker fitted on the *other* ones beside both legs: what a collection without labels may expect. The shipped
ranker is fitted on all of them. Run from the checkout, with the shared data beside it and the encoder
fetched:

    uv run --no-sync python tools/fit_shipped_ranker.py --write
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mangaassist.adapters.embedded.search_index import EmbeddedSearchIndex, IndexBuilder
from mangaassist.bootstrap.clock import SystemClock
from mangaassist.bootstrap.encoder import default_cache_dir, open_embedder
from mangaassist.bootstrap.retrieval import cached_vectors
from mangaassist.control.evaluation.retrieval import SearchedQuery, search_all
from mangaassist.control.evaluation.retrieval_data import Document, JudgedQuery, read_collection
from mangaassist.control.training.ranking import RankingExample, fit_ranker
from mangaassist.domain.retrieval import Chunk
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.serving.retrieval.ranker import LinearRanker
from mangaassist.stats.ranking_metrics import ndcg_at
from mangaassist.stats.resampling import bootstrap_mean

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
PACK = ROOT / "stores" / "jp-manga"
ARTIFACT = ROOT / "src" / "mangaassist" / "serving" / "retrieval" / "ranker.json"
FEATURES = (
    "dense", "lexical", "lexical_length", "lexical_closeness", "lexical_strength", "title_match",
)  # fmt: skip
PARAPHRASE_WEIGHT = 3
START = LinearRanker(name="shipped", weights={})
SEED = 3
CATALOG_ROWS = 4_000
FRAMES = (
    "{}", "is {} finished", "who wrote {}", "how many volumes does {} have", "do you have {} in stock",
    "price of {} box set", "tell me about {}",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Documents and queries of one nature."""

    name: str
    documents: Sequence[Document]
    queries: Sequence[JudgedQuery]


class Silent:
    """No progress shown."""

    def start(self, phase: str, total: int) -> None:
        """Nothing to show."""

    def advance(self, steps: int) -> None:
        """Nothing to show."""


def collections() -> Iterator[Collection]:
    """Yield the collections, from scientific claims to misspelt titles."""
    scifact = read_collection(SHARED / "retrieval" / "scifact")
    yield Collection(name="scifact: claims", documents=scifact.documents, queries=scifact.train)
    articles = _rows(PACK / "policies" / "articles.jsonl")
    for name, titled in (("faq: questions, titles and bodies", True), ("faq: questions, bodies", False)):
        documents = [
            _document(at, row["title"] if titled else "", row["body"]) for at, row in enumerate(articles)
        ]
        asked = [(at, text) for at, row in enumerate(articles) for text in row["questions"]]
        yield Collection(name=name, documents=documents, queries=_queries(asked))
    yield _paraphrases("banking77: paraphrases", "banking77.train.jsonl", documents=8, queries=5)
    yield _paraphrases("clinc150: paraphrases", "clinc150.train-val.jsonl", documents=6, queries=3)
    series = [row for path in sorted((PACK / "series").glob("*.jsonl")) for row in _rows(path)]
    told = [row for row in series if row["description"] and row["themes"]]
    yield Collection(
        name="series: wishes, descriptions",
        documents=[_document(at, row["title"], row["description"]) for at, row in enumerate(told)],
        queries=_queries(
            (at, " ".join(row["moods"][:2] + row["genres"][:1] + row["themes"][:4]))
            for at, row in enumerate(told)
        ),
    )
    yield Collection(
        name="series: descriptions, tags",
        documents=[
            _document(at, row["title"], ", ".join(row["genres"] + row["themes"] + row["moods"]))
            for at, row in enumerate(told)
        ],
        queries=_queries((at, row["description"].split(". ")[0]) for at, row in enumerate(told)),
    )
    yield _titles("series: titles asked for", [(row["title"], _facts(row)) for row in series], every=1)
    rows = _rows(SHARED / "catalog" / "manga.jsonl")[:CATALOG_ROWS]
    yield _titles("catalogue: titles asked for", [(row["title"], _facts(row)) for row in rows], every=8)


def _paraphrases(name: str, file: str, *, documents: int, queries: int) -> Collection:
    """Utterances as documents; others of the same intent as queries, each with several right answers."""
    by_intent: dict[str, list[str]] = {}
    for row in _rows(SHARED / "intents" / file):
        if row["intent"] != "oos":
            by_intent.setdefault(row["intent"], []).append(row["text"])
    kept: list[Document] = []
    judged: list[JudgedQuery] = []
    generator = Random(SEED)
    for _, texts in sorted(by_intent.items()):
        generator.shuffle(texts)
        first = len(kept)
        kept += [_document(first + at, "", text) for at, text in enumerate(texts[:documents])]
        relevant = {document.doc_id: 1.0 for document in kept[first:]}
        judged += [
            JudgedQuery(query_id=f"{first}-{at}", text=text, relevant=relevant)
            for at, text in enumerate(texts[documents : documents + queries])
        ]
    return Collection(name=name, documents=kept, queries=judged)


def _titles(name: str, titled: Sequence[tuple[str, str]], *, every: int) -> Collection:
    """Titles in the sentences of shoppers; every third longer one has a typing slip."""
    generator = Random(SEED)
    asked = []
    for at, (title, _) in enumerate(titled):
        if at % every:
            continue
        wanted = title.lower()
        if at // every % 3 == 1 and len(wanted) > 5:
            wanted = _with_slip(wanted, generator)
        asked.append((at, generator.choice(FRAMES).format(wanted)))
    documents = [_document(at, title, text) for at, (title, text) in enumerate(titled)]
    return Collection(name=name, documents=documents, queries=_queries(asked))


def _with_slip(text: str, generator: random.Random) -> str:
    at = generator.randrange(len(text) - 1)
    slips = (
        text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        text[:at] + text[at + 1 :],
        text[:at] + generator.choice("abcdefghijklmnop") + text[at:],
    )
    return generator.choice(slips)


def _facts(row: dict[str, Any]) -> str:
    parts = [row.get(field) or [] for field in ("alt_titles", "authors", "genres", "themes", "moods")]
    listed = ". ".join(", ".join(map(str, part)) for part in parts if isinstance(part, list) and part)
    return f"{listed}. {row.get('description') or ''}"


def _document(at: int, title: str, text: str) -> Document:
    return Document(doc_id=f"{at:06d}", title=title, text=text)


def _queries(asked: Iterable[tuple[int, str]]) -> list[JudgedQuery]:
    return [
        JudgedQuery(query_id=str(number), text=text, relevant={f"{at:06d}": 1.0})
        for number, (at, text) in enumerate(asked)
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def search(collection: Collection, embedder: TextEmbedder) -> list[SearchedQuery]:
    """Index a collection and run both legs for its queries."""
    folder = default_cache_dir() / "retrieval"
    texts = [f"{one.title}. {one.text}" if one.title else one.text for one in collection.documents]
    vectors = cached_vectors(texts, embedder, folder=folder, progress=Silent())
    asked = [one.text for one in collection.queries]
    by_text: dict[str, NDArray[np.float32]] = dict(
        zip(asked, cached_vectors(asked, embedder, folder=folder, progress=Silent()), strict=True)
    )
    with TemporaryDirectory() as scratch:
        builder = IndexBuilder(Path(scratch), embedding_version=embedder.version)
        for one, vector in zip(collection.documents, vectors, strict=True):
            chunk = Chunk(
                chunk_id=one.doc_id, kind="document", ref=one.doc_id, title=one.title, text=one.text
            )
            builder.add(chunk, vector)
        builder.commit()
        index = EmbeddedSearchIndex(Path(scratch), clock=SystemClock()).pinned()
        return search_all(index, collection.queries, by_text.__getitem__, ranker=START)


def _weighted(examples: Mapping[str, Sequence[RankingExample]]) -> list[Sequence[RankingExample]]:
    """Let paraphrased questions, where words mislead most and fusion has least to gain, count more."""
    return [
        one
        for name, one in examples.items()
        for _ in range(PARAPHRASE_WEIGHT if name.endswith("paraphrases") else 1)
    ]


def main() -> None:
    """Print the table; with --write, replace the shipped artifact."""
    embedder = open_embedder(workers=2)
    if embedder is None:
        sys.exit("the encoder is not cached; run `mangaassist models fetch`")
    searched = {}
    for one in collections():
        searched[one.name] = search(one, embedder)
        print(f"{one.name}: {len(one.documents)} documents, {len(one.queries)} queries", file=sys.stderr)
    examples = {
        name: [RankingExample(evidence=one.evidence, relevant=one.query.relevant) for one in queries]
        for name, queries in searched.items()
    }
    shipped = fit_ranker(_weighted(examples), prior=START, features=FEATURES, name="shipped")
    print("| collection | lexical | dense | fitted on the others | over the better leg (95 %) | shipped |")
    print("|---|---|---|---|---|---|")
    for name, queries in searched.items():
        others = fit_ranker(
            _weighted({key: one for key, one in examples.items() if key != name}),
            prior=START,
            features=FEATURES,
        )
        legs = {
            leg: [ndcg_at(10, one.legs[leg], one.query.relevant) for one in queries]
            for leg in ("lexical", "dense")
        }
        held_out, all_in = (
            [ndcg_at(10, ranker.ranking(one.evidence), one.query.relevant) for one in queries]
            for ranker in (others, shipped)
        )
        best = max(legs.values(), key=np.mean)
        over = bootstrap_mean([a - b for a, b in zip(held_out, best, strict=True)], random=Random(SEED))
        cells = [
            name,
            f"{np.mean(legs['lexical']):.3f}",
            f"{np.mean(legs['dense']):.3f}",
            f"{np.mean(held_out):.3f}",
            f"{over.mean:+.3f} ({over.low:+.3f} to {over.high:+.3f})",
            f"{np.mean(all_in):.3f} ({np.mean(all_in) - np.mean(best):+.3f})",
        ]
        print("| " + " | ".join(cells) + " |")
    print(shipped.to_json().decode())
    if "--write" in sys.argv[1:]:
        ARTIFACT.write_bytes(shipped.to_json())


if __name__ == "__main__":
    main()
