"""Labelled texts: reading them by line, and a held-out split that never moves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mangaassist.control.training.intent import IntentExample
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from mangaassist.serving.intent.features import BUCKETS, ngram_buckets, normalise

NEAR_DUPLICATE_SIMILARITY = 0.8
HELD_OUT_ONE_IN = 5
_ROWS_AT_ONCE = 512


def read_examples(path: Path, *, split: str | None = None) -> list[IntentExample]:
    """Return the rows of a JSONL file of `{"text", "intent"}`; with `split`, those whose `split` it is.

    Raises `InvalidRequestError` naming the first line that cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {str(path)!r}")
    examples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text, intent = row["text"], row["intent"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidRequestError(
                f'{path.name}, line {number}: expected {{"text", "intent"}}: {error!r}'
            ) from error
        if not (isinstance(text, str) and isinstance(intent, str) and text.strip() and intent):
            raise InvalidRequestError(f"{path.name}, line {number}: text and intent must be words")
        if split is None or row.get("split") == split:
            examples.append(IntentExample(text=text, intent=intent))
    if not examples:
        wanted = "rows" if split is None else f"rows with split {split!r}"
        raise InvalidRequestError(f"{path.name} holds no {wanted}")
    return examples


def near_duplicate_groups(examples: Sequence[IntentExample]) -> NDArray[np.intp]:
    """Return a group number for each text; texts that share most of their n-grams share a group."""
    from scipy.sparse import csr_matrix, vstack
    from scipy.sparse.csgraph import connected_components

    found = [ngram_buckets(normalise(example.text)) for example in examples]
    lengths = np.array([len(buckets) for buckets in found])
    # not weighted by rarity: what is rare is what tells near-duplicates apart
    shared = np.repeat(1 / np.sqrt(lengths), lengths).astype(np.float32)
    ngrams = csr_matrix(
        (shared, np.concatenate(found), np.concatenate([[0], np.cumsum(lengths)])),
        shape=(len(examples), BUCKETS),
    )
    similar = vstack(
        [
            csr_matrix(
                (ngrams[start : start + _ROWS_AT_ONCE] @ ngrams.T).toarray() >= NEAR_DUPLICATE_SIMILARITY
            )
            for start in range(0, len(examples), _ROWS_AT_ONCE)
        ]
    )
    _, groups = connected_components(similar, directed=False)
    return np.asarray(groups, dtype=np.intp)


def is_held_out(examples: Sequence[IntentExample]) -> NDArray[np.bool_]:
    """Return which texts are held out: one in five groups, by the hash of the group's first text."""
    groups = near_duplicate_groups(examples)
    names: dict[int, str] = {}
    for group, example in zip(groups.tolist(), examples, strict=True):
        text = normalise(example.text)
        names[group] = min(text, names.get(group, text))
    chosen = {
        group
        for group, name in names.items()
        if int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0
    }
    return np.array([group in chosen for group in groups.tolist()])


def stratified_folds(examples: Sequence[IntentExample], folds: int, *, seed: int) -> NDArray[np.intp]:
    """Return a fold number for each text; every intent is spread evenly over the folds."""
    assigned = np.zeros(len(examples), dtype=np.intp)
    rng = np.random.default_rng(seed)
    offset = 0
    for intent in sorted({example.intent for example in examples}):
        mine = np.array([row for row, example in enumerate(examples) if example.intent == intent])
        assigned[rng.permutation(mine)] = (np.arange(len(mine)) + offset) % folds
        offset += len(mine)
    return assigned
