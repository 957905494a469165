"""A Prompt Guard classifier (or any like it) from a folder with an ONNX graph and its tokenizer.

The folder holds `model.onnx` and `tokenizer.json`; label 0 is benign, as in Prompt Guard 1 and 2 and in
ProtectAI's models. Weights are not ours to ship: the operator gives the path.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mangaassist.domain.errors import ConfigurationError, DependencyUnavailableError
from mangaassist.ports.injection_screens import ScreenResult

WINDOW_TOKENS: Final = 512
STRIDE_TOKENS: Final = 128
MOST_WINDOWS: Final = 16
RULE_ID: Final = "prompt_guard"


class PromptGuardScreen:
    """An `InjectionScreen`: the highest probability of any label but the benign one in any window."""

    def __init__(self, folder: Path) -> None:
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(WINDOW_TOKENS, stride=STRIDE_TOKENS)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 3
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise bare exceptions of their own
            raise ConfigurationError(
                f"no Prompt Guard can be opened in {str(folder)!r}, which must hold model.onnx and "
                f"tokenizer.json: {error}"
            ) from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    async def screen(self, text: str) -> ScreenResult:
        """Return the judgement, made on another thread."""
        if not text.strip():
            return ScreenResult(score=0.0, rule_id=RULE_ID)
        try:
            return ScreenResult(score=await asyncio.to_thread(self._score, text), rule_id=RULE_ID)
        except Exception as error:  # onnxruntime raises bare exceptions
            raise DependencyUnavailableError(f"Prompt Guard failed: {type(error).__name__}") from error

    def _score(self, text: str) -> float:
        first = self._tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"))
        windows = [first.ids, *(rest.ids for rest in first.overflowing)][:MOST_WINDOWS]
        return max(self._attack_probability(np.array([ids], dtype=np.int64)) for ids in windows)

    def _attack_probability(self, ids: NDArray[np.int64]) -> float:
        every: dict[str, NDArray[np.int64]] = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        wanted = {name: value for name, value in every.items() if name in self._inputs}
        logits = np.asarray(self._session.run(None, wanted)[0], dtype=np.float64)[0]
        shares = np.exp(logits - logits.max())
        return float(1 - shares[0] / shares.sum())
