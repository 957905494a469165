"""The converted graph computes what the model's papers say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from mangaassist.adapters.embedded.encoder.graph import (
    Precision,
    build_graph,
    convert_weights,
    quantise_channels,
    read_shape,
)
from mangaassist.adapters.embedded.encoder.onnx_embedder import session_options
from mangaassist.adapters.embedded.encoder.pins import GRAPH_FORMAT
from mangaassist.adapters.embedded.encoder.safetensors import Weights, read_safetensors
from mangaassist.domain.errors import InvalidRequestError
from tests.support.tiny_encoder import (
    TINY_SHAPE,
    WORDS,
    reference_forward,
    tiny_weights,
    write_safetensors,
    write_tiny_model,
)

TEXTS = [[1, *range(4, 4 + length), 2] for length in (1, 3, 9, 20, 50)]


def run(weights: Weights, precision: Precision, tokens: list[list[int]]) -> NDArray[np.float32]:
    graph = build_graph(weights, TINY_SHAPE, precision).SerializeToString()
    session = onnxruntime.InferenceSession(graph, session_options(), providers=["CPUExecutionProvider"])
    longest = max(map(len, tokens))
    ids = np.array([text + [0] * (longest - len(text)) for text in tokens])
    mask = np.array([[1] * len(text) + [0] * (longest - len(text)) for text in tokens])
    rows: NDArray[np.float32] = session.run(["text_encoding"], {"input_ids": ids, "attention_mask": mask})[0]
    return rows


def test_fp32_graph_equals_the_numpy_forward_pass_for_padded_texts() -> None:
    weights = tiny_weights()
    expected = [reference_forward(weights, TINY_SHAPE, text) for text in TEXTS]
    np.testing.assert_allclose(run(weights, "fp32", TEXTS), expected, atol=2e-6)


def test_int8_graph_stays_close_to_the_numpy_forward_pass() -> None:
    weights = tiny_weights()
    expected = np.array([reference_forward(weights, TINY_SHAPE, text) for text in TEXTS])
    size = TINY_SHAPE.hidden_size
    cosines = (run(weights, "int8", TEXTS)[:, :size] * expected[:, :size]).sum(axis=1)
    assert cosines.min() > 0.999, cosines


def test_int8_graph_equals_the_same_quantisation_in_exact_integers() -> None:
    weights = tiny_weights()
    expected = [reference_forward(weights, TINY_SHAPE, text, int8=True) for text in TEXTS]
    # saturating 16-bit sums, as without the session options on AVX2, differ by 0.1
    np.testing.assert_allclose(run(weights, "int8", TEXTS), expected, atol=5e-6)


def test_int8_vector_does_not_depend_on_the_other_texts_of_the_batch() -> None:
    weights = tiny_weights()
    alone = np.concatenate([run(weights, "int8", [text]) for text in TEXTS])
    np.testing.assert_allclose(run(weights, "int8", TEXTS), alone, atol=2e-6)


def test_conversion_of_the_same_weights_gives_the_same_bytes(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "source")
    for name in ("first.onnx", "second.onnx"):
        assert convert_weights(tmp_path / "source", tmp_path / name) == TINY_SHAPE.encoding
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_changed_graph_raises_the_graph_format() -> None:
    # a cache made by an older format must not pass as one of this format: when this fails because the graph
    # was changed on purpose, raise GRAPH_FORMAT and put the new pair here
    zeros = {name: np.zeros_like(value) for name, value in tiny_weights().items()}
    digest = hashlib.sha256(build_graph(zeros, TINY_SHAPE).SerializeToString(deterministic=True)).hexdigest()
    assert (GRAPH_FORMAT, digest[:16]) == (2, "b4eb9d7ce0d99295")


def test_a_weight_column_of_zeros_is_quantised_to_zeros() -> None:
    values, scales = quantise_channels(np.array([[0, 1], [0, -2]], dtype=np.float32))
    np.testing.assert_array_equal(values, [[0, 64], [0, -127]])
    np.testing.assert_allclose(scales, [1, 2 / 127])


def test_missing_tensor_is_named() -> None:
    weights = tiny_weights()
    del weights["encoder.layer.1.output.dense.weight"]
    with pytest.raises(InvalidRequestError, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        build_graph(weights, TINY_SHAPE)


def test_configuration_of_another_architecture_is_refused(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    with pytest.raises(InvalidRequestError, match="relu"):
        read_shape(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InvalidRequestError, match="no BERT configuration"):
        read_shape(tmp_path / "config.json")


def test_safetensors_round_trip_including_files_of_the_reference_library(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    weights = tiny_weights()
    write_safetensors(tmp_path / "ours", weights)
    save_file({**weights, "ids": np.arange(len(WORDS))}, tmp_path / "theirs")
    for name in ("ours", "theirs"):
        read = read_safetensors(tmp_path / name)
        assert read.keys() == weights.keys()
        assert all(np.array_equal(read[key], weights[key]) for key in weights)


@pytest.mark.parametrize("keep", [0, 5, 60, 5_000])
def test_cut_safetensors_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, tiny_weights())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InvalidRequestError):
        read_safetensors(path)


@pytest.mark.parametrize(
    "table", [b"[]", b"{", b'{"a":1}', b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}']
)
def test_nonsense_safetensors_table_is_refused(tmp_path: Path, table: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(table).to_bytes(8, "little") + table)
    with pytest.raises(InvalidRequestError):
        read_safetensors(path)
