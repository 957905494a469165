"""What differs between two makings of the same answer, named by the component that is to blame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from typing import Final, Literal

from mangaassist.domain.capsule import Capsule
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.retrieval import Chunk

Component = Literal[
    "model", "parameter", "prompt", "chunk", "ruleset", "template", "intent", "route", "facts", "provider"
]
_NOT_FACTS: Final = frozenset({"now", "passages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not what it was: `name` within its component, then and now."""

    component: Component
    name: str
    recorded: str
    replayed: str


def differences(recorded: Capsule, replayed: Capsule) -> tuple[Difference, ...]:
    """Return what differs between two capsules, causes only: what follows from a named cause is left out."""
    return tuple(_differences(recorded, replayed))


def chunk_differences(recorded: Sequence[Chunk], live: Sequence[Chunk]) -> tuple[Difference, ...]:
    """Return how the chunks that were used differ from what the index holds of them now."""
    now = {chunk.chunk_id: chunk for chunk in live}
    found = []
    for chunk in recorded:
        other = now.get(chunk.chunk_id)
        if other is None:
            found.append(_chunk_difference(chunk.chunk_id, "in the index", "gone from the index"))
        elif other != chunk:
            changed = [
                one.name for one in fields(Chunk) if getattr(chunk, one.name) != getattr(other, one.name)
            ]
            found.append(
                _chunk_difference(chunk.chunk_id, "as it was used", f"another {' and '.join(changed)}")
            )
    return tuple(found)


def changed_versions(recorded: Capsule, replayed: Capsule) -> dict[str, tuple[str, str]]:
    """Return the component versions that changed whether or not they touched this answer, then and now."""
    names = sorted(set(recorded.versions) | set(replayed.versions))
    pairs = {
        name: (recorded.versions.get(name, "none"), replayed.versions.get(name, "none")) for name in names
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def similarity(first: str, second: str) -> float:
    """Return how alike two texts are by their words in order, 0 to 1 (Ratcliff and Obershelp's ratio)."""
    return SequenceMatcher(a=first.split(), b=second.split(), autojunk=False).ratio()


def _differences(recorded: Capsule, replayed: Capsule) -> Iterator[Difference]:
    yield from _of_understanding(recorded, replayed)
    if recorded.decision.intent != replayed.decision.intent or recorded.handler != replayed.handler:
        return
    chunks = list(_of_chunks(recorded, replayed))
    yield from chunks
    prompts = list(_of_prompts(recorded, replayed))
    yield from prompts
    yield from _of_versions(recorded, replayed)
    facts = list(_of_facts(recorded.facts, replayed.facts)) if not chunks else []
    yield from facts
    then, now = recorded.prompt, replayed.prompt
    if then and now and then.prompt_hash != now.prompt_hash and not (chunks or prompts or facts):
        yield Difference(
            component="prompt", name="rendering", recorded=then.prompt_hash, replayed=now.prompt_hash
        )


def _of_understanding(recorded: Capsule, replayed: Capsule) -> Iterator[Difference]:
    for component, name, then, now in (
        ("intent", "intent", recorded.decision.intent.value, replayed.decision.intent.value),
        ("route", "handler", recorded.handler, replayed.handler),
        ("route", "service level", recorded.service_level, replayed.service_level),
    ):
        if then != now:
            yield Difference(component=component, name=name, recorded=then, replayed=now)  # type: ignore[arg-type]  # literals of the table above


def _of_prompts(recorded: Capsule, replayed: Capsule) -> Iterator[Difference]:
    then, now = recorded.prompt, replayed.prompt
    if then is None or now is None:
        if then is not now:
            yield Difference(
                component="route",
                name="asks a model",
                recorded=str(then is not None),
                replayed=str(now is not None),
            )
        return
    if (then.provider, then.model_id) != (now.provider, now.model_id):
        yield Difference(
            component="model",
            name=then.model_key,
            recorded=f"{then.provider}:{then.model_id}",
            replayed=f"{now.provider}:{now.model_id}",
        )
    for one in fields(then.parameters):
        before, after = getattr(then.parameters, one.name), getattr(now.parameters, one.name)
        if before != after:
            yield Difference(component="parameter", name=one.name, recorded=str(before), replayed=str(after))
    if then.prompt_version != now.prompt_version:
        yield Difference(
            component="prompt", name="version", recorded=then.prompt_version, replayed=now.prompt_version
        )
    elif then.template_hash != now.template_hash:
        yield Difference(
            component="prompt",
            name=f"content of {then.prompt_version}",
            recorded=then.template_hash[:16],
            replayed=now.template_hash[:16],
        )
    if recorded.raw_text is None and replayed.raw_text is not None:
        yield Difference(
            component="provider", name="generation", recorded="failed", replayed=f"{now.provider} answered"
        )


def _of_chunks(recorded: Capsule, replayed: Capsule) -> Iterator[Difference]:
    then = {chunk.chunk_id: chunk.address for chunk in recorded.chunks}
    now = {chunk.chunk_id: chunk.address for chunk in replayed.chunks}
    for chunk_id in then:
        if chunk_id not in now:
            yield _chunk_difference(chunk_id, "retrieved", "not retrieved")
        elif then[chunk_id] != now[chunk_id]:
            yield _chunk_difference(chunk_id, then[chunk_id][:16], now[chunk_id][:16])
    for chunk_id in now:
        if chunk_id not in then:
            yield _chunk_difference(chunk_id, "not retrieved", "retrieved")
    if list(then) != list(now) and set(then) == set(now):
        yield _chunk_difference("order", ", ".join(then), ", ".join(now))


def _of_versions(recorded: Capsule, replayed: Capsule) -> Iterator[Difference]:
    changed = changed_versions(recorded, replayed)
    if "guardrail_ruleset" in changed:
        then, now = changed["guardrail_ruleset"]
        yield Difference(component="ruleset", name="version", recorded=then, replayed=now)
    if "templates" in changed and recorded.prompt is None:
        then, now = changed["templates"]
        yield Difference(component="template", name="version", recorded=then, replayed=now)


def _of_facts(recorded: AnswerFacts | None, replayed: AnswerFacts | None) -> Iterator[Difference]:
    if recorded is None or replayed is None:
        if recorded is not replayed:
            yield Difference(
                component="facts",
                name="assembled",
                recorded=str(recorded is not None),
                replayed=str(replayed is not None),
            )
        return
    for one in fields(AnswerFacts):
        if one.name not in _NOT_FACTS and getattr(recorded, one.name) != getattr(replayed, one.name):
            yield Difference(
                component="facts",
                name=one.name,
                recorded=_short(getattr(recorded, one.name)),
                replayed=_short(getattr(replayed, one.name)),
            )


def _chunk_difference(chunk_id: str, recorded: str, replayed: str) -> Difference:
    return Difference(component="chunk", name=chunk_id, recorded=recorded, replayed=replayed)


def _short(value: object) -> str:
    text = f"{len(value)} entries" if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
