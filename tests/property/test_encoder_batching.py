"""Batches hold every text once; concurrent callers each get their own row."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mangaassist.adapters.embedded.encoder.batching import QueryBatcher, plan_batches


@given(st.lists(st.integers(2, 256), max_size=200), st.integers(1, 2_000))
def test_every_text_is_in_one_batch_within_the_token_limit(lengths: list[int], max_tokens: int) -> None:
    batches = list(plan_batches(lengths, max_tokens=max_tokens))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= max_tokens


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=60), st.integers(1, 8))
def test_concurrent_callers_each_get_their_own_row(texts: list[str], max_queries: int) -> None:
    sizes: list[int] = []

    def run(batch: Sequence[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        sizes.append(len(batch))
        for index in sorted(range(len(batch)), key=lambda index: len(batch[index])):
            yield index, np.array([hash(batch[index]) % 65_536], dtype=np.float32)

    async def ask() -> list[NDArray[np.float32]]:
        batcher = QueryBatcher(run, max_queries=max_queries)
        rows = await asyncio.gather(*(batcher.submit(text) for text in texts))
        batcher.close()
        return rows

    rows = asyncio.run(ask())
    assert [float(row[0]) for row in rows] == [hash(text) % 65_536 for text in texts]
    assert sum(sizes) == len(texts)
    assert max(sizes) <= max_queries
