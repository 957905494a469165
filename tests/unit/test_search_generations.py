"""Generations of the embedded index: published whole, kept for a while, safe from killed builders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mangaassist.adapters.embedded.search_index import IndexBuilder, IndexLayout, add_vectors
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from tests.support.clock import FakeClock
from tests.support.search import EMBEDDING, LetterEmbedder, build, chunk, open_index, unit_vectors

OLD, NEW = [chunk("a", "Old title")], [chunk("a", "New title"), chunk("b", "Other")]
CHECK_S = 0.5


def test_before_the_first_build_the_index_is_empty(tmp_path: Path) -> None:
    index = open_index(tmp_path / "nowhere")
    assert (index.size, index.knowledge_version, index.embedding_version) == (0, "empty", None)
    assert index.lexical("word", limit=3) == []
    assert index.get(["a"]) == []


def test_a_new_generation_is_picked_up_within_a_second(tmp_path: Path) -> None:
    clock = FakeClock()
    build(tmp_path, OLD)
    index = open_index(tmp_path, clock)
    assert index.get(["a"])[0].title == "Old title"
    build(tmp_path, NEW)
    clock.advance(CHECK_S)
    assert [one.title for one in index.get(["a", "b"])] == ["New title", "Other"]


def test_the_old_generation_serves_while_the_next_is_built(tmp_path: Path) -> None:
    clock = FakeClock()
    build(tmp_path, OLD)
    index = open_index(tmp_path, clock)
    builder = IndexBuilder(tmp_path)
    for one in NEW:
        builder.add(one)
        clock.advance(CHECK_S)
        assert index.size == 1
    builder.commit()
    clock.advance(CHECK_S)
    assert index.size == 2


def test_a_pinned_view_stays_on_its_generation_even_when_that_is_swept(tmp_path: Path) -> None:
    clock = FakeClock()
    build(tmp_path, OLD, unit_vectors(1))
    index = open_index(tmp_path, clock)
    view = index.pinned()
    for _ in range(5):
        build(tmp_path, NEW)
    clock.advance(CHECK_S)
    assert (view.size, index.size) == (1, 2)
    assert view.get(["a"])[0].title == "Old title"
    assert len(view.dense(unit_vectors(1)[0], limit=3)) == 1


def test_three_old_generations_are_kept_and_one_call_goes_back(tmp_path: Path) -> None:
    ids = [build(tmp_path, [chunk("a", f"Title {number}")]) for number in range(6)]
    layout = IndexLayout(tmp_path)
    assert layout.generations() == ids[-4:]
    assert layout.rollback() == ids[-2]
    assert open_index(tmp_path).get(["a"])[0].title == "Title 4"
    with pytest.raises(NotFoundError):
        layout.rollback(ids[0])


def test_a_build_after_a_rollback_gets_a_new_number(tmp_path: Path) -> None:
    ids = [build(tmp_path, OLD), build(tmp_path, NEW)]
    IndexLayout(tmp_path).rollback()
    assert build(tmp_path, NEW) > max(ids)


def test_an_aborted_build_changes_nothing(tmp_path: Path) -> None:
    served = build(tmp_path, OLD)
    builder = IndexBuilder(tmp_path)
    builder.add(NEW[0])
    builder.abort()
    assert IndexLayout(tmp_path).current() == served
    assert list((tmp_path / "building").iterdir()) == []


def test_a_builder_killed_at_any_moment_leaves_the_old_generation_serving(tmp_path: Path) -> None:
    served = build(tmp_path, OLD)
    program = (
        "import sys, pathlib; from tests.support.search import chunk; "
        "from mangaassist.adapters.embedded.search_index import IndexBuilder; "
        f"builder = IndexBuilder(pathlib.Path({str(tmp_path)!r})); number = 0\n"
        "while True:\n"
        "    builder.add(chunk(f'{number:09d}', 'Half built')); number += 1\n"
        "    if number == 200: builder.attach('extra', b'x'); print('building', flush=True)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"building\n"
        # while it lives, another build must not sweep it away
        build(tmp_path / "other", OLD)
        running = IndexBuilder(tmp_path)
        running.abort()
        assert len(list((tmp_path / "building").iterdir())) == 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert IndexLayout(tmp_path).current() == served
    assert open_index(tmp_path).get(["a"])[0].title == "Old title"
    build(tmp_path, NEW)
    assert list((tmp_path / "building").iterdir()) == []


def test_a_generation_that_cannot_be_opened_leaves_the_last_good_one(tmp_path: Path) -> None:
    clock = FakeClock()
    build(tmp_path, OLD)
    index = open_index(tmp_path, clock)
    assert index.size == 1
    (tmp_path / "generations" / "000009-broken").mkdir()
    (tmp_path / "CURRENT").write_text("000009-broken\n")
    clock.advance(CHECK_S)
    assert index.size == 1
    assert index.problem is not None
    assert "000009-broken" in index.problem


def test_the_knowledge_version_follows_content_not_order_nor_vectors(tmp_path: Path) -> None:
    versions = set()
    for name, chunks, vectors in (
        ("one", NEW, None),
        ("two", NEW[::-1], None),
        ("three", NEW, unit_vectors(2)),
    ):
        build(tmp_path / name, chunks, vectors)
        versions.add(open_index(tmp_path / name).knowledge_version)
    build(tmp_path / "four", [chunk("a", "New title", volumes=3), NEW[1]])
    assert len(versions) == 1
    assert open_index(tmp_path / "four").knowledge_version not in versions


def test_vectors_are_added_later_under_the_same_knowledge_version(tmp_path: Path) -> None:
    clock = FakeClock()
    builder = IndexBuilder(tmp_path)
    for one in NEW:
        builder.add(one)
    builder.attach("imported.jsonl", b"rows")
    builder.commit()
    index = open_index(tmp_path, clock)
    version, embedder = index.knowledge_version, LetterEmbedder()
    generation = add_vectors(tmp_path, embedder=embedder, text_of=lambda one: one.title)
    clock.advance(CHECK_S)
    assert (index.knowledge_version, index.embedding_version) == (version, EMBEDDING)
    assert index.dense(embedder.embed(["other"])[0], limit=1)[0].chunk_id == "b"
    assert (tmp_path / "generations" / generation / "imported.jsonl").read_bytes() == b"rows"
    assert add_vectors(tmp_path, embedder=embedder, text_of=lambda one: one.title) == generation


def test_unusable_input_is_refused_and_named(tmp_path: Path) -> None:
    builder = IndexBuilder(tmp_path, embedding_version=EMBEDDING)
    builder.add(OLD[0], unit_vectors(1)[0])
    for bad, vector in (
        (OLD[0], unit_vectors(1)[0]),
        (chunk("n"), None),
        (chunk("n"), unit_vectors(1, dimension=3)[0]),
        (chunk("n"), np.full(8, np.nan, dtype=np.float32)),
        (chunk("n", price=float("inf")), unit_vectors(1)[0]),
    ):
        with pytest.raises(
            InvalidRequestError, match=bad.chunk_id if "price" not in bad.metadata else "price"
        ):
            builder.add(bad, vector)
    with pytest.raises(InvalidRequestError):
        builder.attach("../escape", b"")
    builder.commit()
    assert open_index(tmp_path).size == 1


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("TOKYO ghoul", "Tōkyō Ghoul"),
        ("tôkyō", "Tōkyō Ghoul"),
        ("onepunch man", "One-Punch Man"),
        ("one punch", "One-Punch Man"),
        ("full metal alchemist", "Fullmetal Alchemist"),
        ("shonen", "Shounen Days"),
        ("yuugiou", "Yugio Duel"),
        ("beserk", "Berserk"),
        ("komis", "Komi’s Year"),
        ("東京", "東京 Story"),
    ],
)
def test_names_are_found_however_they_are_written(tmp_path: Path, query: str, title: str) -> None:
    titles = ["Tōkyō Ghoul", "One-Punch Man", "Fullmetal Alchemist", "Shounen Days", "Yugio Duel", "Berserk"]
    build(tmp_path, [chunk(f"{at}", name) for at, name in enumerate([*titles, "Komi’s Year", "東京 Story"])])
    index = open_index(tmp_path)
    assert index.get([index.lexical(query, limit=1)[0].chunk_id])[0].title == title
