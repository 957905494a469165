"""Opens the capsule of an answer with everything it refers to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import cast

from pydantic import TypeAdapter, ValidationError

from mangaassist.domain.capsule import Capsule
from mangaassist.domain.errors import DamagedContentError, NotFoundError
from mangaassist.domain.records import RequestRecord
from mangaassist.domain.retrieval import Chunk
from mangaassist.serving.contents import Contents
from mangaassist.serving.facts.assembler import passages_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAnswer:
    """A capsule with its chunks in the order of their rank, and the system prompt if a model was asked."""

    capsule: Capsule
    chunks: tuple[Chunk, ...]
    system: str | None


async def recorded_answer(record: RequestRecord, contents: Contents) -> RecordedAnswer:
    """Return what was kept of an answer.

    Raises `NotFoundError` when nothing was, when its retention is over or its customer forgotten, and
    `DamagedContentError` when it is not what was stored.
    """
    if record.capsule is None:
        raise NotFoundError(f"no capsule was kept of response {record.response_id!r}; it cannot be replayed")
    capsule = decoded_capsule((await contents.open([record.capsule]))[record.capsule])
    prompt = capsule.prompt
    addresses = [chunk.address for chunk in capsule.chunks]
    opened = await contents.open([*addresses, prompt.system] if prompt else addresses)
    chunks = tuple(decoded_chunk(opened[address]) for address in addresses)
    facts = capsule.facts
    if facts is not None and capsule.retrieved:
        scores = [chunk.score for chunk in capsule.chunks]
        capsule = replace(capsule, facts=replace(facts, passages=passages_of(chunks, scores)))
    return RecordedAnswer(
        capsule=capsule, chunks=chunks, system=opened[prompt.system].decode() if prompt else None
    )


def decoded_capsule(content: bytes) -> Capsule:
    """Return the capsule of its JSON."""
    return cast("Capsule", _decoded(Capsule, content))


def decoded_chunk(content: bytes) -> Chunk:
    """Return the chunk of its payload."""
    return cast("Chunk", _decoded(Chunk, content))


def _decoded(kind: type, content: bytes) -> object:
    try:
        return _adapter(kind).validate_json(content)
    except ValidationError as error:
        raise DamagedContentError(f"not a {kind.__name__} that this version reads: {error}") from error


@cache
def _adapter(kind: type) -> TypeAdapter[object]:
    return TypeAdapter(kind)
