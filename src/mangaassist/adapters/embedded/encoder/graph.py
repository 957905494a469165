"""Builds the ONNX graph of a BERT sentence encoder from its weights, without torch.

The graph is written with the fused operators that onnxruntime's optimiser would arrive at (attention, skip
layer norm, bias and gelu), so it loads fast and its bytes, hence its version, depend on no optimiser.

Quantisation (int8): weights per output channel; activations dynamically *per token*. The usual dynamic
quantisation takes one scale for the whole batch, by which a vector depends on the texts that happen to be
embedded with it (differences up to 0.05 an element were measured, and a cosine of 0.992 to fp32); with one
scale a token, a text has the same vector alone and in any batch, at a mean cosine of 0.997.

Run it with the options of `onnx_embedder.session_options`, or the integers saturate on CPUs without VNNI.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mangaassist.adapters.embedded.encoder.cache import EncodingShape
from mangaassist.adapters.embedded.encoder.pins import CONFIG_FILE, WEIGHTS_FILE
from mangaassist.adapters.embedded.encoder.safetensors import Weights, read_safetensors
from mangaassist.domain.errors import InvalidRequestError

Precision = Literal["int8", "fp32"]

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "text_encoding"

_MICROSOFT = "com.microsoft"
_GELU_SHIFT = 0.17
"""gelu never falls below -0.16998; shifted by this much it is positive and uses all 8 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BertShape:
    """The numbers of a BERT configuration that shape its graph."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float

    @property
    def middle_layers(self) -> range:
        """The layers, counted from 0, whose means are part of an encoding: the second to fourth of six."""
        middle = self.num_hidden_layers // 2
        return range(max(0, middle - 2), middle + 1)

    @property
    def encoding(self) -> EncodingShape:
        """The widths of what the graph puts out."""
        width = self.hidden_size * (1 + len(self.middle_layers))
        return EncodingShape(dimension=self.hidden_size, encoding_width=width)


def convert_weights(source: Path, target: Path) -> EncodingShape:
    """Write the int8 graph of the model in folder `source` to `target`, and return what it puts out."""
    shape = read_shape(source / CONFIG_FILE)
    onnx.save(build_graph(read_safetensors(source / WEIGHTS_FILE), shape), target)
    return shape.encoding


def read_shape(path: Path) -> BertShape:
    """Read a `config.json`; anything that is not a BERT with gelu and absolute positions is refused."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = (
            config["model_type"],
            config["hidden_act"],
            config.get("position_embedding_type", "absolute"),
        )
        shape = BertShape(**{field.name: config[field.name] for field in fields(BertShape)})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequestError(f"{path.name} is no BERT configuration: {error!r}") from error
    if kind != ("bert", "gelu", "absolute"):
        raise InvalidRequestError(f"{path.name} describes {kind}, expected ('bert', 'gelu', 'absolute')")
    return shape


def build_graph(weights: Weights, shape: BertShape, precision: Precision = "int8") -> onnx.ModelProto:
    """Return tokens in, a row a text out: its unit-length mean-pooled vector, its middle layers' means."""
    try:
        graph = _BertGraph(weights, shape, precision).build()
    except KeyError as error:
        raise InvalidRequestError(f"the weights lack the tensor {error}") from error
    # opset 18 and IR 10 are read by every onnxruntime since 1.18
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(_MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="mangaassist")


class _BertGraph:
    """Collects nodes and initialisers while walking through the layers."""

    def __init__(self, weights: Weights, shape: BertShape, precision: Precision) -> None:
        self._weights = weights
        self._shape = shape
        self._precision = precision
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._one = self._constant(np.float32(1))
        self._last_axis = self._constant(np.array([-1]))
        self._first_axis = self._constant(np.array([0]))
        self._token_axis = self._constant(np.array([1]))

    def build(self) -> onnx.GraphProto:
        """Return the whole graph."""
        # tokens are rows of a matrix (batch x sequence, hidden) except inside attention
        as_batch = self._node(
            "Concat", self._node("Shape", INPUTS[0]), self._last_axis, attributes={"axis": 0}
        )
        as_rows = self._constant(np.array([-1, self._shape.hidden_size]))
        mask = self._node("Cast", INPUTS[1], attributes={"to": TensorProto.INT32})
        hidden = self._node("Reshape", self._embeddings(), as_rows)
        self._mask = self._node(
            "Unsqueeze", self._node("Cast", INPUTS[1], attributes={"to": TensorProto.FLOAT}), self._last_axis
        )
        self._count = self._sum_of_tokens(self._mask)
        mean_layers = []
        for layer in range(self._shape.num_hidden_layers):
            prefix = f"encoder.layer.{layer}"
            attended = self._node("Reshape", self._attention(hidden, mask, prefix, as_batch), as_rows)
            hidden = self._project_and_add(attended, hidden, f"{prefix}.attention.output")
            inner = self._dense(hidden, self._weights[f"{prefix}.intermediate.dense.weight"])
            bias = self._constant(self._weights[f"{prefix}.intermediate.dense.bias"])
            inner = self._node("BiasGelu", inner, bias, domain=_MICROSOFT)
            hidden = self._project_and_add(inner, hidden, f"{prefix}.output", follows_gelu=True)
            if layer in self._shape.middle_layers:
                mean_layers.append(self._mean(self._node("Reshape", hidden, as_batch)))
        mean = self._mean(self._node("Reshape", hidden, as_batch))
        vector = self._node("LpNormalization", mean, attributes={"axis": -1, "p": 2})
        self._nodes.append(helper.make_node("Concat", [vector, *mean_layers], [OUTPUT], axis=1))
        return helper.make_graph(
            self._nodes,
            "bert_sentence_encoder",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
                for name in INPUTS
            ],
            [
                helper.make_tensor_value_info(
                    OUTPUT, TensorProto.FLOAT, ["batch", self._shape.encoding.encoding_width]
                )
            ],
            self._constants,
        )

    def _embeddings(self) -> str:
        """Word + position + first token type, normalised; words are kept as int8 rows."""
        words = self._weights["embeddings.word_embeddings.weight"]
        if self._precision == "fp32":
            word = self._node("Gather", self._constant(words), INPUTS[0])
        else:
            table, scales = quantise_channels(words.T)
            rows = self._node("Gather", self._constant(table.T), INPUTS[0])
            rows = self._node("Cast", rows, attributes={"to": TensorProto.FLOAT})
            word = self._node("Mul", rows, self._node("Gather", self._constant(scales[:, None]), INPUTS[0]))
        positions = (
            self._weights["embeddings.position_embeddings.weight"]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = self._node("Shape", INPUTS[0], attributes={"start": 1, "end": 2})
        position = self._node("Slice", self._constant(positions), self._first_axis, length, self._first_axis)
        return self._node(
            "LayerNormalization",
            self._node("Add", word, position),
            self._constant(self._weights["embeddings.LayerNorm.weight"]),
            self._constant(self._weights["embeddings.LayerNorm.bias"]),
            attributes={"epsilon": self._shape.layer_norm_eps},
        )

    def _attention(self, hidden: str, mask: str, prefix: str, as_batch: str) -> str:
        """Multi-head self-attention; query, key and value are projected in one go."""
        parts = [f"{prefix}.attention.self.{name}" for name in ("query", "key", "value")]
        weight = np.concatenate([self._weights[f"{part}.weight"] for part in parts])
        bias = np.concatenate([self._weights[f"{part}.bias"] for part in parts])
        projected = self._node("Reshape", self._dense(hidden, weight), as_batch)
        split = [f"{prefix}.{name}" for name in ("query", "key", "value")]
        self._nodes.append(helper.make_node("Split", [projected], split, axis=2, num_outputs=3))
        return self._node(
            "MultiHeadAttention",
            *split,
            self._constant(bias),
            mask,
            domain=_MICROSOFT,
            attributes={"num_heads": self._shape.num_attention_heads},
        )

    def _project_and_add(self, inner: str, hidden: str, prefix: str, *, follows_gelu: bool = False) -> str:
        """Project back to the hidden size, add bias and residual, normalise."""
        weight = self._weights[f"{prefix}.dense.weight"]
        bias = self._weights[f"{prefix}.dense.bias"]
        if follows_gelu and self._precision == "int8":
            # (x + shift) W - shift * sum(W) = x W, with the sum over the weights as quantised
            quantised, scales = quantise_channels(weight.T)
            bias = bias - np.float32(_GELU_SHIFT) * quantised.sum(0, dtype=np.int64).astype("f4") * scales
        return self._node(
            "SkipLayerNormalization",
            self._dense(inner, weight, follows_gelu=follows_gelu),
            hidden,
            self._constant(self._weights[f"{prefix}.LayerNorm.weight"]),
            self._constant(self._weights[f"{prefix}.LayerNorm.bias"]),
            self._constant(bias),
            domain=_MICROSOFT,
            attributes={"epsilon": self._shape.layer_norm_eps},
        )

    def _dense(self, rows: str, weight: NDArray[np.float32], *, follows_gelu: bool = False) -> str:
        """Multiply rows with a weight of shape (out, in), without bias; int8 with one scale a row."""
        if self._precision == "fp32":
            return self._node("MatMul", rows, self._constant(weight.T))
        if follows_gelu:
            rows = self._node("Add", rows, self._constant(np.float32(_GELU_SHIFT)))
            magnitude, levels, zero = rows, 255, self._constant(np.uint8(0))
        else:
            magnitude, levels, zero = self._node("Abs", rows), 127, self._constant(np.uint8(128))
        largest = self._node("ReduceMax", magnitude, self._last_axis, attributes={"keepdims": 1})
        scale = self._node("Mul", largest, self._constant(np.float32(1 / levels)))
        scaled = self._node("Div", rows, scale)
        quantised, scales = quantise_channels(weight.T)
        product = self._node(
            "MatMulIntegerToFloat",
            self._node("QuantizeLinear", scaled, self._one, zero),
            self._constant(quantised),
            self._one,
            self._constant(scales),
            zero,
            domain=_MICROSOFT,
        )
        return self._node("Mul", product, scale)

    def _mean(self, hidden: str) -> str:
        """Average over the tokens that are not padding."""
        return self._node("Div", self._sum_of_tokens(self._node("Mul", hidden, self._mask)), self._count)

    def _sum_of_tokens(self, rows: str) -> str:
        return self._node("ReduceSum", rows, self._token_axis, attributes={"keepdims": 0})

    def _node(
        self,
        operator: str,
        *inputs: str,
        domain: str = "",
        attributes: Mapping[str, int | float] | None = None,
    ) -> str:
        """Append a node with one output, and return the output's name."""
        output = f"{operator}_{len(self._nodes)}"
        node = helper.make_node(operator, list(inputs), [output], domain=domain)
        for name, value in (attributes or {}).items():
            node.attribute.append(helper.make_attribute(name, value))
        self._nodes.append(node)
        return output

    def _constant(self, value: NDArray[np.generic] | np.generic) -> str:
        """Append an initialiser, and return its name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name


def quantise_channels(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 values and one scale a column, symmetric around zero."""
    scales = np.abs(weight).max(axis=0) / np.float32(127)
    scales[scales == 0] = 1
    return np.rint(weight / scales).astype(np.int8), scales.astype(np.float32)
