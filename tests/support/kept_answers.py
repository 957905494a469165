"""Answers of the whole product, kept in a database of the test's own, and ways to change a component."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random

from mangaassist.adapters.embedded.prompt_files import load_prompts
from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.guardrail_models import GuardrailModels, load_guardrail_models
from mangaassist.bootstrap.guardrails import build_guardrails
from mangaassist.bootstrap.lineage import build_replayer, contents_of
from mangaassist.bootstrap.settings import Settings, load_settings
from mangaassist.control.lineage.capsules import RecordedAnswer, recorded_answer
from mangaassist.control.lineage.replay import Replayer
from mangaassist.domain.chat import AnswerDone, ChatAnswer, ChatRequest, Identity, PageContext
from mangaassist.domain.generation import ModelParameters
from mangaassist.domain.retrieval import Chunk
from mangaassist.serving.guardrails.ruleset import Rule, Ruleset, parse_ruleset
from mangaassist.serving.parts import PipelineParts
from mangaassist.serving.prompts.builder import PromptBuilder

PACK = Path(__file__).parents[2] / "stores" / "jp-manga"
QUESTIONS = Path(__file__).parents[1] / "e2e" / "questions.jsonl"
PATTERNS = (
    "is {title} finished?",
    "how much is the first volume of {title}?",
    "something like {title}",
    "who wrote {title}?",
    "is there a box set of {title}?",
    "compare {title} and Berserk",
    "any deals on {title}?",
    "what age is {title} for?",
)
FOLLOW_UPS = ("and the cheapest one?", "is it in stock?", "something funnier, please", "thanks!")


def questions(container: Container, count: int) -> Iterator[tuple[str, str]]:
    """Yield (session, question): those of the end-to-end tests, then made ones, every third a follow-up."""
    asked = [json.loads(line)["text"] for line in QUESTIONS.read_text().splitlines()]
    titles = [series.title for series in container.store.catalog.all_series()]
    random = Random(7)
    while len(asked) < count:
        asked.append(random.choice(PATTERNS).format(title=random.choice(titles)))
    for number, question in enumerate(asked[:count]):
        follows = number % 3 == 2 and number > len(asked) // 4
        yield f"s{number - follows}", random.choice(FOLLOW_UPS) if follows else question


def settings_for(data_dir: Path, store_dir: Path = PACK) -> Settings:
    """Return settings of an installation of its own, without an encoder."""
    return load_settings(data_dir=data_dir, store_dir=store_dir, encoder="off")


def copied_store(folder: Path) -> Path:
    """Return a copy of the shipped store that a test may change."""
    return Path(shutil.copytree(PACK, folder / "store"))


async def ask(container: Container, text: str, *, session_id: str, owner: str = "visitor:1") -> ChatAnswer:
    """Return the answer of one question through the whole pipeline."""
    customer_id = owner.removeprefix("customer:") if owner.startswith("customer:") else None
    request = ChatRequest(
        request_id=container.ids.sortable("req"),
        session_id=session_id,
        message=text,
        identity=Identity(
            owner=owner, customer_id=customer_id, user_type="signed_in" if customer_id else "guest"
        ),
        page_context=PageContext(),
    )
    async with aclosing(container.pipeline.answer(request)) as events:
        async for event in events:
            if isinstance(event, AnswerDone):
                return event.answer
    raise AssertionError("a pipeline that does not raise ends in AnswerDone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A container with answers in it."""

    container: Container
    answers: tuple[ChatAnswer, ...]
    replayer: Replayer
    built: dict[str, PipelineParts] = field(default_factory=dict)

    async def recorded(self, answer: ChatAnswer) -> RecordedAnswer:
        """Return what was kept of an answer."""
        (record,) = await self.container.storage.records.find(answer.response_id)
        return await recorded_answer(record, contents_of(self.container))

    def parts(self, bundle: str) -> PipelineParts:
        """Return the parts that come nearest to a bundle."""
        if bundle not in self.built:
            self.built[bundle] = self.container.releases.nearest(bundle)
        return self.built[bundle]

    def replayer_with(self, chunks_of: Callable[[Chunk], Chunk | None]) -> Replayer:
        """Return a replayer that sees an index in which `chunks_of` changed (or removed) chunks."""
        services = self.replayer._services
        real = services.chunks_of
        return Replayer(
            replace(
                services,
                chunks_of=lambda ids: [new for one in real(ids) if (new := chunks_of(one)) is not None],
            )
        )


@asynccontextmanager
async def kept_answers(settings: Settings, count: int) -> AsyncIterator[Kept]:
    """Ask `count` questions of a few people and keep the answers."""
    async with open_container(settings) as container:
        customers = [f"customer:{one.customer_id}" for one in container.store.customers.customers()]
        owners = ["visitor:1", *customers]
        answers = []
        for number, (session, question) in enumerate(questions(container, count)):
            owner = owners[int(session[1:]) % len(owners)]
            answers.append(
                await ask(container, question, session_id=f"{owner}-{session}-{number // 3}", owner=owner)
            )
        yield Kept(container=container, answers=tuple(answers), replayer=build_replayer(container))


# --- changing one component ---


def with_other_model(parts: PipelineParts, key: str, random: Random) -> PipelineParts:
    """Return the parts with another model id behind a key."""
    choice = parts.bundle.models[key]
    changed = replace(choice, model_id=f"{choice.model_id}-{random.randrange(10_000)}")
    return replace(parts, bundle=replace(parts.bundle, models={**parts.bundle.models, key: changed}))


def with_other_parameter(parts: PipelineParts, key: str, random: Random) -> tuple[PipelineParts, str]:
    """Return the parts with one sampling parameter changed, and its name."""
    choice = parts.bundle.models[key]
    before: ModelParameters = choice.parameters
    name = random.choice(("temperature", "max_tokens", "top_p", "stop_sequences"))
    value: object = {
        "temperature": round(before.temperature + random.uniform(0.05, 0.6), 3),
        "max_tokens": before.max_tokens + random.randrange(1, 400),
        "top_p": round(random.uniform(0.1, 0.99), 3),
        "stop_sequences": (f"\n{random.randrange(100)}",),
    }[name]
    changed = replace(choice, parameters=replace(before, **{name: value}))  # type: ignore[arg-type]  # chosen above
    return replace(parts, bundle=replace(parts.bundle, models={**parts.bundle.models, key: changed})), name


def with_other_prompt(parts: PipelineParts, prompt_version: str, random: Random) -> PipelineParts:
    """Return the parts with a few words of one prompt edited in place, its version unchanged."""
    known = {one.prompt_version: one for one in load_prompts(PACK / "prompts")}
    template = known[prompt_version]
    if random.random() < 0.5:
        lines = template.system.splitlines()
        at = random.choice([number for number, line in enumerate(lines) if "{" not in line])
        lines[at] += f" (note {random.randrange(1000)})"
        changed = replace(template, system="\n".join(lines))
    else:
        changed = replace(template, user=f"{template.user}\nRemember rule {random.randrange(1000)}.\n")
    builder = PromptBuilder({template.intent: changed}, known["base-1.0"])
    return replace(parts, prompts=builder)


def with_other_rule(parts: PipelineParts, container: Container, random: Random) -> PipelineParts:
    """Return the parts with a threshold moved or a harmless rule added in one stage of the ruleset."""
    ruleset = parts.guardrails.ruleset
    name = random.choice(sorted(ruleset.stages))
    policy = ruleset.stages[name]
    if random.random() < 0.5:
        changed = policy.model_copy(
            update={"threshold": min(1.0, policy.threshold + random.uniform(0.01, 0.2))}
        )
    else:
        rule = Rule(id=f"planted_{random.randrange(1000)}", pattern=f"zzz{random.randrange(10**6)}zzz")
        changed = policy.model_copy(update={"rules": (*policy.rules, rule)})
    if changed == policy:
        changed = policy.model_copy(update={"threshold": policy.threshold / 2})
    other = ruleset.model_copy(update={"stages": {**ruleset.stages, name: changed}})
    return with_ruleset(parts, other, container)


def with_ruleset(parts: PipelineParts, ruleset: Ruleset, container: Container) -> PipelineParts:
    """Return the parts under another ruleset."""
    pipeline = build_guardrails(
        parse_ruleset(ruleset.model_dump(mode="json")),
        catalog=container.store.catalog,
        models=_guardrail_models(),
    )
    bundle = replace(parts.bundle, guardrail_ruleset_version=pipeline.version)
    return replace(parts, guardrails=pipeline, bundle=bundle)


def with_other_chunk(chunk_id: str, random: Random) -> Callable[[Chunk], Chunk | None]:
    """Return a change of one chunk of the index: its text, its metadata, or that it is gone."""
    kind = random.choice(("text", "gone", "metadata"))

    def change(chunk: Chunk) -> Chunk | None:
        if chunk.chunk_id != chunk_id:
            return chunk
        if kind == "gone":
            return None
        if kind == "metadata":
            return replace(chunk, metadata={**chunk.metadata, "revised": random.randrange(1000)})
        words = chunk.text.split(" ")
        words[random.randrange(len(words))] = f"revised{random.randrange(1000)}"
        return replace(chunk, text=" ".join(words))

    return change


@cache
def _guardrail_models() -> GuardrailModels:
    return load_guardrail_models(PACK / "guardrails")
