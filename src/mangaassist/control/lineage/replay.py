"""Makes a kept answer again: with the same bytes, with a rebuilt prompt, or from the question on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from mangaassist.control.lineage.capsules import RecordedAnswer, decoded_capsule
from mangaassist.control.lineage.comparison import (
    Difference,
    changed_versions,
    chunk_differences,
    differences,
    similarity,
)
from mangaassist.control.lineage.stand_ins import (
    NoExposures,
    NoTraces,
    RecordedBudget,
    RecordedCache,
    RecordedClock,
    RecordedSession,
    ScratchStore,
)
from mangaassist.domain.bundle import ModelChoice
from mangaassist.domain.capsule import Capsule, CapturedPrompt
from mangaassist.domain.errors import ConfigurationError, ConflictError
from mangaassist.domain.generation import GenerationRequest
from mangaassist.domain.prompts import BuiltPrompt
from mangaassist.domain.retrieval import Chunk, RetrievalResult, ScoredChunk
from mangaassist.ports.clock import Clock, IdFactory
from mangaassist.ports.sessions import SessionContext
from mangaassist.ports.text_models import TextModel
from mangaassist.serving.allocation import Allocator, ExposureLog
from mangaassist.serving.answering import generate
from mangaassist.serving.contents import Contents
from mangaassist.serving.dialogue.reader import DialogueReader
from mangaassist.serving.evidence import capsule_of, payload_of
from mangaassist.serving.exchange import Exchange, Understanding
from mangaassist.serving.facts.assembler import FactsAssembler
from mangaassist.serving.guarding import check_answer, check_message
from mangaassist.serving.guardrails.redaction import Redactor
from mangaassist.serving.parts import PipelineParts
from mangaassist.serving.pipeline import ChatPipeline, PipelineServices
from mangaassist.serving.prompting import build_prompt
from mangaassist.serving.prompts.builder import prompt_hash
from mangaassist.serving.template_answers import answer_from_template, fallback_text
from mangaassist.serving.tracing import TraceRecorder

ReplayMode = Literal["exact", "rebuild", "full"]
_TEMPLATE = "template/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What came of making an answer again.

    `prompt_equal` compares the hashes of what is sent to the model; None where no model is asked.
    `similarity` is 1.0 for equal texts. `differences` name the components to blame; `versions` also those
    that changed without touching this answer, then and now.
    """

    mode: ReplayMode
    response_id: str
    recorded_bundle: str
    used_bundle: str
    prompt_equal: bool | None
    text_equal: bool
    similarity: float
    recorded_text: str
    replayed_text: str
    differences: tuple[Difference, ...]
    versions: dict[str, tuple[str, str]]

    @property
    def components(self) -> tuple[str, ...]:
        """The components that differ, each once."""
        return tuple(dict.fromkeys(difference.component for difference in self.differences))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayServices:
    """What a replay shares with the server: everything that reads, nothing that writes.

    `chunks_of` returns what the index holds of chunk ids now; unknown ones are left out.
    """

    reader: DialogueReader
    assembler: FactsAssembler
    redactor: Redactor
    clock: Clock
    ids: IdFactory
    chunks_of: Callable[[Sequence[str]], Sequence[Chunk]]


class Replayer:
    """Replays answers; stores, spends, shares and traces nothing."""

    def __init__(self, services: ReplayServices) -> None:
        self._services = services

    async def replay(
        self, recorded: RecordedAnswer, parts: PipelineParts, *, mode: ReplayMode, same_bundle: bool = True
    ) -> ReplayReport:
        """Make the answer again with these parts.

        `exact` sends the recorded bytes to the recorded model with the recorded parameters, or to the
        model of `parts` when that is another bundle (`same_bundle` is False). `rebuild` builds the prompt
        from the parts and the recorded facts and chunks. `full` reads the question again, at the recorded
        moment. Raises `ConfigurationError` when these parts cannot reach the recorded provider.
        """
        if mode == "full":
            again = await self._full(recorded, parts)
        else:
            again = await self._partial(recorded, parts, mode=mode, same_bundle=same_bundle)
        capsule = recorded.capsule
        found = list(differences(capsule, again))
        if mode == "rebuild":
            live = self._services.chunks_of([chunk.chunk_id for chunk in recorded.chunks])
            found += chunk_differences(recorded.chunks, live)
        then, now = capsule.prompt, again.prompt
        return ReplayReport(
            mode=mode,
            response_id=capsule.response_id,
            recorded_bundle=capsule.release_bundle,
            used_bundle=parts.bundle.version,
            prompt_equal=None if then is None or now is None else then.prompt_hash == now.prompt_hash,
            text_equal=capsule.text == again.text,
            similarity=similarity(capsule.text, again.text),
            recorded_text=capsule.text,
            replayed_text=again.text,
            differences=tuple(found),
            versions=changed_versions(capsule, again),
        )

    async def _partial(
        self, recorded: RecordedAnswer, parts: PipelineParts, *, mode: ReplayMode, same_bundle: bool
    ) -> Capsule:
        capsule = recorded.capsule
        exchange = self._exchange(recorded, parts)
        understood = exchange.understood
        assert understood is not None, "the exchange of a recorded answer is understood"
        await check_message(exchange)
        if capsule.prompt is not None:
            await self._generate(exchange, recorded, capsule.prompt, mode=mode, same_bundle=same_bundle)
        elif capsule.prompt_version.startswith(_TEMPLATE):
            name = capsule.prompt_version.removeprefix(_TEMPLATE).rpartition("-")[0]
            answer_from_template(exchange, name)
            exchange.handler, exchange.outcome = recorded.capsule.handler, recorded.capsule.outcome  # type: ignore[assignment]  # stored as text
        else:
            exchange.text, exchange.prompt_version = capsule.text, capsule.prompt_version
        verdict = await check_answer(exchange)
        if verdict.action != "allow":
            exchange.text = fallback_text(exchange) if verdict.fallback_triggered else verdict.text
        shared = [payload_of(chunk) for chunk in recorded.chunks]
        if exchange.prompt is not None:
            shared.append(exchange.prompt.system.encode())
        addresses = tuple(hashlib.sha256(content).hexdigest() for content in shared)
        clock = RecordedClock(capsule.moment, self._services.clock)
        return capsule_of(exchange, understood, addresses=addresses, clock=clock)

    def _exchange(self, recorded: RecordedAnswer, parts: PipelineParts) -> Exchange:
        """Return the exchange as it stood when the prompt was about to be built."""
        capsule, services = recorded.capsule, self._services
        recorder = TraceRecorder(clock=services.clock, ids=services.ids)
        session = SessionContext(
            session_id=capsule.request.session_id,
            owner=capsule.request.identity.owner,
            turns=capsule.turns,
            state=capsule.state,
            exists=bool(capsule.turns),
        )
        exchange = Exchange(
            request=capsule.request,
            response_id=capsule.response_id,
            parts=parts,
            recorder=recorder,
            started_ns=recorder.now_ns(),
            session=session,
            retrieval=_retrieval(recorded) if capsule.retrieved else None,
            facts=capsule.facts,
            service_level=capsule.service_level,  # type: ignore[arg-type]  # stored as text
            handler=capsule.handler,  # type: ignore[arg-type]  # stored as text
            cached_from=capsule.cached_from,
            outcome=capsule.outcome,
        )
        reading = capsule.facts.reading if capsule.facts else None
        if reading is None:
            reading = services.reader.read(
                capsule.request.message, session, capsule.request.page_context, capsule.moment
            )
        exchange.understood = Understanding(
            session=session,
            reading=reading,
            decision=capsule.decision,
            vector=None,
            route=parts.bundle.routes[capsule.decision.intent.value],
        )
        return exchange

    async def _generate(
        self,
        exchange: Exchange,
        recorded: RecordedAnswer,
        prompt: CapturedPrompt,
        *,
        mode: ReplayMode,
        same_bundle: bool,
    ) -> None:
        facts, session, parts = exchange.facts, exchange.session, exchange.parts
        assert facts is not None, "a model is only asked with facts"
        assert session is not None, "the exchange of a recorded answer has its session"
        exchange.model_key = key = _key_of(prompt, exchange)
        if mode == "exact" and same_bundle:
            choice, model = _recorded_choice(prompt), _model_of(prompt.provider, parts)
        else:
            choice, model = parts.bundle.models[key], parts.models[key]
        if mode == "exact":
            exchange.prompt = _recorded_prompt(prompt, recorded.system or "")
            exchange.prompt_version = prompt.prompt_version
            request = GenerationRequest(
                model_id=choice.model_id,
                system=exchange.prompt.system,
                messages=prompt.messages,
                parameters=choice.parameters,
                limits=prompt.limits,
                facts=facts,
                cache_prefix=prompt.cache_prefix,
            )
        else:
            request = build_prompt(exchange, facts, session=session, choice=choice)
        if prompt.sent_max_tokens < prompt.parameters.max_tokens:
            # the budget bounded the recorded answer below its parameters
            bounded = min(request.parameters.max_tokens, prompt.sent_max_tokens)
            request = replace(request, parameters=replace(request.parameters, max_tokens=bounded))
        exchange.outcome = "answered"
        async with aclosing(generate(exchange, request, model=model, choice=choice)) as events:  # type: ignore[type-var]  # an async generator behind its protocol
            async for _ in events:
                pass

    async def _full(self, recorded: RecordedAnswer, parts: PipelineParts) -> Capsule:
        capsule, services = recorded.capsule, self._services
        clock = RecordedClock(capsule.moment, services.clock)
        scratch, session = ScratchStore(), RecordedSession(capsule)
        contents = Contents(
            store=scratch, keys=scratch, clock=clock, random_bytes=bytes, retention=timedelta(days=1)
        )
        pipeline = ChatPipeline(
            services=PipelineServices(
                sessions=session,
                budgets=RecordedBudget(capsule),
                cache=RecordedCache(capsule),
                reader=services.reader,
                assembler=services.assembler,
                traces=NoTraces(),
                redactor=services.redactor,
                clock=clock,
                ids=services.ids,
                exposures=ExposureLog(NoExposures(), clock=clock),
                environment="replay",
                history_turns=len(capsule.turns),
                contents=contents,
            ),
            allocator=Allocator(lambda version: parts),
        )
        request = replace(capsule.request, release_bundle=None, traceparent=None)
        async with aclosing(pipeline.answer(request)) as events:
            async for _ in events:
                pass
        sealed = session.written.capsule if session.written else None
        if sealed is None:
            raise ConflictError("the pipeline gave an answer without a capsule")
        await scratch.put([sealed])
        return decoded_capsule((await contents.open([sealed.address]))[sealed.address])


def _retrieval(recorded: RecordedAnswer) -> RetrievalResult:
    versions = recorded.capsule.versions
    embedding = versions.get("embedding", "none")
    return RetrievalResult(
        chunks=tuple(
            ScoredChunk(
                chunk=chunk,
                score=captured.score,
                dense_score=captured.dense_score,
                lexical_score=captured.lexical_score,
                rerank_score=captured.score,
            )
            for chunk, captured in zip(recorded.chunks, recorded.capsule.chunks, strict=True)
        ),
        candidate_count=len(recorded.chunks),
        legs=(),
        filters=(),
        knowledge_version=versions.get("knowledge", "none"),
        embedding_version=None if embedding == "none" else embedding,
        reranker_version=versions.get("reranker", "none"),
        policy_version=versions.get("retriever_policy", "none"),
    )


def _key_of(prompt: CapturedPrompt, exchange: Exchange) -> str:
    """Return the key of the model in these parts: the recorded one, else that of the route."""
    parts, understood = exchange.parts, exchange.understood
    if prompt.model_key in parts.bundle.models:
        return prompt.model_key
    route_model = understood.route.model if understood else None
    if route_model is None:
        raise ConfigurationError(f"release bundle {parts.bundle.version!r} asks no model for this intent")
    return route_model


def _model_of(provider: str, parts: PipelineParts) -> TextModel:
    for key, choice in parts.bundle.models.items():
        if choice.provider == provider:
            return parts.models[key]
    raise ConfigurationError(
        f"the answer was written by provider {provider!r}, which release bundle {parts.bundle.version!r} "
        "does not use; replay it with --bundle naming one that does"
    )


def _recorded_choice(prompt: CapturedPrompt) -> ModelChoice:
    return ModelChoice(provider=prompt.provider, model_id=prompt.model_id, parameters=prompt.parameters)


def _recorded_prompt(prompt: CapturedPrompt, system: str) -> BuiltPrompt:
    return BuiltPrompt(
        prompt_version=prompt.prompt_version,
        system=system,
        messages=prompt.messages,
        limits=prompt.limits,
        prompt_hash=prompt_hash(system, prompt.messages),
        system_prompt_hash=hashlib.sha256(system.encode()).hexdigest(),
        template_hash=prompt.template_hash,
        prompt_chars=len(system) + sum(len(message.text) for message in prompt.messages),
        cacheable_prefix_tokens=0,
        prefix_qualifies_for_caching=prompt.cache_prefix,
    )
