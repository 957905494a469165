"""The embedder: order, truncation, odd texts, closing, and the commands that show it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from mangaassist.adapters.embedded.encoder.batching import QueryBatcher
from mangaassist.adapters.embedded.encoder.cache import EncoderFiles
from mangaassist.adapters.embedded.encoder.graph import convert_weights
from mangaassist.adapters.embedded.encoder.onnx_embedder import OnnxTextEmbedder
from mangaassist.adapters.embedded.encoder.sources import PathSource
from mangaassist.adapters.embedded.encoder.weights import fetch_encoder
from mangaassist.bootstrap.encoder import default_cache_dir, open_embedder
from mangaassist.cli.models import app
from mangaassist.domain.errors import DependencyUnavailableError
from tests.support.tiny_encoder import TINY_SHAPE, reference_forward, tiny_weights, write_tiny_model


@pytest.fixture
def files(tmp_path: Path) -> EncoderFiles:
    """A converted tiny encoder."""
    pin = write_tiny_model(tmp_path / "model")
    return fetch_encoder(
        tmp_path, convert=convert_weights, pin=pin, sources=[PathSource(tmp_path / "model")]
    ).files


@pytest.fixture
def embedder(files: EncoderFiles) -> Iterator[OnnxTextEmbedder]:
    """An embedder of the tiny encoder."""
    embedder = OnnxTextEmbedder(files)
    yield embedder
    embedder.close()


def test_rows_come_in_the_order_of_the_texts_with_any_number_of_workers(files: EncoderFiles) -> None:
    texts = [" ".join(f"w{(row * 7 + word) % 60}" for word in range(row % 90)) for row in range(200)]
    one, two = OnnxTextEmbedder(files), OnnxTextEmbedder(files, workers=2)
    together = one.embed(texts)
    alone = np.concatenate([one.embed([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_array_equal(two.embed(texts), together)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert together.dtype == np.float32


def test_vector_is_the_reference_vector_of_the_tokens(embedder: OnnxTextEmbedder) -> None:
    expected = reference_forward(tiny_weights(), TINY_SHAPE, [1, 4, 9, 3, 2])
    assert float(embedder.embed(["w0 w5 unknown"])[0] @ expected[: TINY_SHAPE.hidden_size]) > 0.999


def test_no_texts_give_no_rows_without_loading_the_model(files: EncoderFiles) -> None:
    files.onnx_path.unlink()
    assert OnnxTextEmbedder(files).embed([]).shape == (0, TINY_SHAPE.hidden_size)


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800 w1", "日本 w2", "w1 " * 5_000])
async def test_any_text_has_a_unit_vector_the_same_both_ways(embedder: OnnxTextEmbedder, text: str) -> None:
    vector = await embedder.embed_query(text)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(vector, embedder.embed([text])[0], atol=1e-5)
    encoding = await embedder.encode_query(text)
    assert encoding.shape == (embedder.encoding_width,)
    np.testing.assert_allclose(encoding, embedder.encode([text])[0], atol=1e-4)
    np.testing.assert_allclose(encoding[: embedder.dimension], vector, atol=1e-5)


def test_text_is_cut_at_256_tokens(embedder: OnnxTextEmbedder) -> None:
    kept = "w1 " * 254
    np.testing.assert_array_equal(embedder.embed([kept])[0], embedder.embed([kept + "w2 w3"])[0])


async def test_closed_embedder_says_so(embedder: OnnxTextEmbedder) -> None:
    await embedder.embed_query("w1")
    embedder.close()
    embedder.close()
    with pytest.raises(DependencyUnavailableError, match="closed"):
        embedder.embed(["w1"])
    with pytest.raises(DependencyUnavailableError, match="closed"):
        await embedder.embed_query("w1")


async def test_model_that_cannot_be_loaded_is_unavailable_for_each_caller(files: EncoderFiles) -> None:
    files.onnx_path.write_bytes(b"nothing")
    embedder = OnnxTextEmbedder(files)
    outcomes = await asyncio.gather(*(embedder.embed_query("w1") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, DependencyUnavailableError) for outcome in outcomes)
    embedder.close()


class HeldRun:
    """Lets a test decide when a run returns, and remembers what ran together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.started = threading.Event()
        self.released = threading.Event()

    def __call__(self, texts: Sequence[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        self.batches.append(list(texts))
        self.started.set()
        self.released.wait(10)
        for index, text in enumerate(texts):
            yield index, np.array([float(text)], dtype=np.float32)


async def test_queries_that_arrive_during_a_run_are_run_together() -> None:
    run = HeldRun()
    batcher = QueryBatcher(run)
    first = asyncio.create_task(batcher.submit("0"))
    await asyncio.to_thread(run.started.wait, 10)
    others = [asyncio.create_task(batcher.submit(str(number))) for number in range(1, 6)]
    await asyncio.sleep(0)
    run.released.set()
    rows = await asyncio.gather(first, *others)
    assert [float(row[0]) for row in rows] == [0, 1, 2, 3, 4, 5]
    assert run.batches == [["0"], ["1", "2", "3", "4", "5"]]
    batcher.close()


async def test_lone_query_does_not_wait_for_company() -> None:
    run = HeldRun()
    run.released.set()
    batcher = QueryBatcher(run, window_s=60)
    row = await asyncio.wait_for(batcher.submit("1"), timeout=10)
    assert float(row[0]) == 1
    batcher.close()


async def test_cancelled_query_is_not_run() -> None:
    run = HeldRun()
    batcher = QueryBatcher(run)
    first = asyncio.create_task(batcher.submit("0"))
    await asyncio.to_thread(run.started.wait, 10)
    second = asyncio.create_task(batcher.submit("1"))
    third = asyncio.create_task(batcher.submit("2"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    run.released.set()
    await asyncio.gather(first, third)
    assert run.batches == [["0"], ["2"]]
    batcher.close()


def test_absent_encoder_opens_to_none_and_status_says_what_to_do(tmp_path: Path) -> None:
    assert open_embedder(tmp_path) is None
    said = CliRunner().invoke(app, ["status", "--cache", str(tmp_path)])
    assert said.exit_code == 1
    assert "mangaassist models fetch" in said.stdout
    listed = CliRunner().invoke(app, ["status", "--json", "--cache", str(tmp_path)])
    assert json.loads(listed.stdout) == {"ready": False, "cache": str(tmp_path)}


@pytest.mark.encoder
async def test_real_encoder_ranks_a_paraphrase_above_another_topic() -> None:
    embedder = open_embedder()
    if embedder is None:
        pytest.skip(f"no encoder in {default_cache_dir()}: run `mangaassist models fetch`")
    assert embedder.version.startswith("minilm-l6-v2-int8-")
    assert embedder.dimension == 384
    question = await embedder.embed_query("When will my order arrive?")
    same, other = embedder.embed(["How long does delivery take?", "A story about a pirate king"])
    # fp32 MiniLM gives 0.51 and 0.06
    assert float(question @ same) > 0.4
    assert float(question @ other) < 0.2
    embedder.close()
