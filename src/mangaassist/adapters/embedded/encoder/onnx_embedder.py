"""The `TextEncoder` that runs the converted encoder with onnxruntime, on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mangaassist.adapters.embedded.encoder.batching import QueryBatcher, plan_batches
from mangaassist.adapters.embedded.encoder.cache import EncoderFiles
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.ports.embedder import Matrix

MAX_TEXT_TOKENS = 256
_TOKENISED_AT_ONCE = 4_096


class OnnxTextEmbedder:
    """MiniLM in this process; the model is loaded by the first text, or by `warm_up`.

    A text has the same vector alone and in any batch. `workers` threads share one session in `embed`; more
    than one helps only where as many cores are idle.
    """

    def __init__(self, files: EncoderFiles, *, workers: int = 1) -> None:
        self._files = files
        self._workers = workers
        self._model: _Model | None = None
        self._closed = False
        # invariant: at most one model is loaded, and none after close
        self._lock = threading.Lock()
        self._batcher = QueryBatcher(self._run_queries)

    @property
    def version(self) -> str:
        """`minilm-l6-v2-int8-` and 12 hex characters of the ONNX file's SHA-256."""
        return self._files.version

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._files.dimension

    @property
    def encoding_width(self) -> int:
        """Length of an encoding."""
        return self._files.encoding_width

    def warm_up(self) -> None:
        """Load the model and run it once, so that the first query need not."""
        self.embed(["warm up"])

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed on the calling thread, and on `workers` - 1 more."""
        return self._run_all(texts, self.dimension)

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Encode on the calling thread, and on `workers` - 1 more."""
        return self._run_all(texts, self.encoding_width)

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one text on the query thread, together with those that others asked for meanwhile."""
        return (await self.encode_query(text))[: self.dimension]

    async def encode_query(self, text: str) -> NDArray[np.float32]:
        """Encode one text on the query thread, together with those that others asked for meanwhile."""
        return await self._batcher.submit(text)

    def close(self) -> None:
        """Finish queued queries and let the model go; later calls raise `DependencyUnavailableError`."""
        self._batcher.close()
        with self._lock:
            self._closed = True
            self._model = None

    def _run_all(self, texts: Sequence[str], width: int) -> Matrix:
        """Return the first `width` columns of every text's encoding."""
        result = np.empty((len(texts), width), dtype=np.float32)
        if not texts:
            return result
        model = self._loaded()
        for start in range(0, len(texts), _TOKENISED_AT_ONCE):
            tokens = model.tokenise(texts[start : start + _TOKENISED_AT_ONCE])
            batches = list(plan_batches([len(ids) for ids in tokens]))

            def run(batch: list[int], tokens: list[list[int]] = tokens, start: int = start) -> None:
                rows = model.run([tokens[index] for index in batch])
                result[[start + index for index in batch]] = rows[:, :width]

            if self._workers == 1 or len(batches) == 1:
                for batch in batches:
                    run(batch)
            else:
                with ThreadPoolExecutor(self._workers, thread_name_prefix="encoder-bulk") as pool:
                    # the longest first, so that no thread starts a long batch when the others are done
                    list(pool.map(run, reversed(batches)))
        return result

    def _run_queries(self, texts: Sequence[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Embed a batch of queries, the shortest first."""
        model = self._loaded()
        tokens = [model.tokenise_one(text) for text in texts]
        for batch in plan_batches([len(ids) for ids in tokens]):
            yield from zip(batch, model.run([tokens[index] for index in batch]), strict=True)

    def _loaded(self) -> _Model:
        """Return the model, loading it the first time."""
        model = self._model
        if model is not None:
            return model
        with self._lock:
            if self._closed:
                raise DependencyUnavailableError("the encoder is closed")
            if self._model is None:
                self._model = _Model(self._files.onnx_path, self._files.tokenizer_path)
            return self._model


class _Model:
    """A tokenizer and a session; both may be used from any thread."""

    def __init__(self, onnx_path: Path, tokenizer_path: Path) -> None:
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(tokenizer_path))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(MAX_TEXT_TOKENS)
            self._session: Any = onnxruntime.InferenceSession(
                str(onnx_path), session_options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise bare exceptions of their own
            raise DependencyUnavailableError(
                f"the encoder in {str(onnx_path.parent)!r} cannot be loaded: {error}"
            ) from error

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of many texts, on every core."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(map(_clean, texts)))]

    def tokenise_one(self, text: str) -> list[int]:
        """Return the token ids of one text, on this thread."""
        ids: list[int] = self._tokenizer.encode(_clean(text)).ids
        return ids

    def run(self, tokens: Sequence[Sequence[int]]) -> Matrix:
        """Pad to the longest and return one encoding a text."""
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), dtype=np.int64)
        mask = np.zeros((len(tokens), longest), dtype=np.int64)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        vectors: Matrix = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors


def session_options() -> Any:
    """Return the options every session of the int8 graph needs: one thread, and exact integer arithmetic.

    Without `x64quantprecision`, CPUs that lack VNNI add pairs of products in 16 bits and saturate, so the
    same file would give other vectors there (a mean cosine of 0.996 rather than 0.997 to fp32 for MiniLM,
    down to 0.976 for other weights). As measured on AVX2 it costs no time.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _clean(text: str) -> str:
    """Replace lone surrogates, which the tokenizer cannot take."""
    return text.encode("utf-8", "replace").decode("utf-8")
