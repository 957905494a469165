"""The request path: one message in, one guarded, persisted, traced answer out.

It reads like the span tree: load_context, apply_guardrails (input), intent_classification,
route_intent, retrieve_chunks, build_prompt, bedrock_generate, apply_guardrails (output),
persist_response.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace

from mangaassist.domain.bundle import Route
from mangaassist.domain.chat import (
    AnswerDone,
    AnswerEvent,
    AnswerReplaced,
    AnswerStarted,
    AnswerToken,
    ChatRequest,
)
from mangaassist.domain.dialogue import Reading
from mangaassist.domain.errors import DependencyError, InvalidRequestError
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent, IntentDecision
from mangaassist.ports.answer_cache import AnswerCache
from mangaassist.ports.budgets import BudgetStore
from mangaassist.ports.clock import Clock, IdFactory
from mangaassist.ports.sessions import SessionContext, SessionStore
from mangaassist.ports.traces import TraceSink
from mangaassist.serving.allocation import Allocator, ExposureLog
from mangaassist.serving.answer_caching import find_cached, scope_of, store_answer
from mangaassist.serving.answering import generate
from mangaassist.serving.chunk_snapshot import snapshot_chunks
from mangaassist.serving.contents import Contents
from mangaassist.serving.context import load_context
from mangaassist.serving.dialogue.reader import DialogueReader
from mangaassist.serving.dialogue.retrieval_plan import plan_retrieval
from mangaassist.serving.exchange import Exchange, Understanding
from mangaassist.serving.facts.assembler import FactsAssembler
from mangaassist.serving.guarding import check_answer, check_message, screen_chunks
from mangaassist.serving.guardrails.redaction import FAILED, Redactor
from mangaassist.serving.persistence import answer_of, persist_response
from mangaassist.serving.presentation import cards_of, sources_of
from mangaassist.serving.prompting import build_prompt
from mangaassist.serving.routing import route_intent, select_model
from mangaassist.serving.sampling import baggage_of, sampling_of
from mangaassist.serving.template_answers import answer_from_template, fallback_text
from mangaassist.serving.token_limits import within_reservation
from mangaassist.serving.tracing import TraceRecorder

PREVIEW_CHARS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineServices:
    """What every request shares whatever its bundle."""

    sessions: SessionStore
    budgets: BudgetStore
    cache: AnswerCache
    reader: DialogueReader
    assembler: FactsAssembler
    traces: TraceSink
    redactor: Redactor
    clock: Clock
    ids: IdFactory
    exposures: ExposureLog
    environment: str
    region: str = "local"
    contents: Contents | None = None
    history_turns: int = 6


class ChatPipeline:
    """Answers messages; one instance per process.

    `allocator` chooses the parts of every request: those of the release bundle it names, of the arms it
    is in, or of the bundle that serves now.
    """

    def __init__(self, *, services: PipelineServices, allocator: Allocator) -> None:
        self._services = services
        self._allocator = allocator

    @property
    def services(self) -> PipelineServices:
        """What every request shares; a replay reads with it."""
        return self._services

    @property
    def allocator(self) -> Allocator:
        """What chooses the parts of a request."""
        return self._allocator

    async def answer(self, request: ChatRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the events of one answer.

        Ends with `AnswerDone` once the turn is durable. Raises `NotFoundError` for another owner's
        session or an unknown bundle, `InvalidRequestError` for a session id that is personal data,
        `DependencyError` when the turn cannot be stored. Whatever happens, closing early included,
        exactly one trace is handed over.
        """
        services = self._services
        _refuse_telling_id(request.session_id, services.redactor)
        allocation = self._allocator.allocate(request)
        recorder = TraceRecorder(clock=services.clock, ids=services.ids, traceparent=request.traceparent)
        exchange = Exchange(
            request=request,
            response_id=services.ids.sortable("resp"),
            parts=allocation.parts,
            recorder=recorder,
            started_ns=recorder.now_ns(),
            assignments=allocation.assignments,
        )
        if request.baggage is not None:
            exchange.baggage = baggage_of(request.baggage, redact=services.redactor.redact)
        try:
            with recorder.span("handle_message", "CHAIN") as root:
                root.set(
                    request_id=request.request_id,
                    session_id=request.session_id,
                    page_type=request.page_context.page_type,
                    customer_locale=request.page_context.locale,
                )
                async for event in self._steps(exchange):
                    yield event
                answer = answer_of(exchange)
        except (asyncio.CancelledError, GeneratorExit):
            exchange.outcome = "abandoned"
            raise
        except Exception as error:  # the boundary of the trace: it says what ended the request
            exchange.outcome = type(error).__name__
            raise
        finally:
            try:
                await self._settle_budget(exchange)
            finally:
                self._hand_over(exchange)
        yield AnswerDone(answer=answer)

    async def _steps(self, exchange: Exchange) -> AsyncIterator[AnswerEvent]:
        services = self._services
        session, reading = await load_context(
            exchange,
            sessions=services.sessions,
            reader=services.reader,
            clock=services.clock,
            last_turns=services.history_turns,
        )
        # from here on the session is known to be the caller's
        yield AnswerStarted(
            response_id=exchange.response_id,
            trace_id=exchange.recorder.trace_id,
            session_id=exchange.request.session_id,
        )
        verdict = await check_message(exchange)
        if verdict.fallback_triggered:
            understood = _refused(exchange, session, reading)
            await services.exposures.record(exchange, intent=understood.decision.intent)
            answer_from_template(exchange, "blocked_input")
            exchange.outcome = "blocked"
        else:
            understood = await self._understand(exchange, session, reading)
            await services.exposures.record(exchange, intent=understood.decision.intent)
            async for event in self._answer(exchange, understood):
                yield event
        exchange.understood = understood
        async for event in self._guard(exchange):
            yield event
        self._present(exchange)
        exchange.sampling = sampling_of(exchange, environment=services.environment)
        # both writes go to the database together: one wake-up of its writer
        await asyncio.gather(
            persist_response(
                exchange,
                understood,
                sessions=services.sessions,
                contents=services.contents,
                redactor=services.redactor,
                clock=services.clock,
                region=services.region,
            ),
            self._settle_budget(exchange),
        )
        await self._share(exchange, understood)

    async def _understand(
        self, exchange: Exchange, session: SessionContext, reading: Reading
    ) -> Understanding:
        with exchange.recorder.span("intent_classification", "CHAIN") as span:
            classified = await exchange.parts.classifier.classify(reading.text)
            decision, reading = self._services.reader.settle(reading, classified.decision, session)
            span.set(
                intent=decision.intent.value,
                confidence=round(decision.confidence, 4),
                classifier_version=decision.classifier_version,
                classification_path=decision.classification_path,
                stage=decision.stage,
                out_of_scope_score=round(decision.out_of_scope_score, 4),
            )
        route = await route_intent(exchange, decision, budgets=self._services.budgets)
        understood = Understanding(
            session=session, reading=reading, decision=decision, vector=classified.vector, route=route
        )
        exchange.understood = understood
        return understood

    async def _answer(self, exchange: Exchange, understood: Understanding) -> AsyncIterator[AnswerEvent]:
        route = understood.route
        if route.template is not None:
            await self._assemble(exchange, understood)
            answer_from_template(exchange, route.template)
            exchange.outcome = "answered"
            return
        if exchange.service_level == "minimal":
            await self._assemble(exchange, understood)
            _answer_without_tokens(exchange)
            return
        scope = scope_of(exchange, understood)
        if scope is not None and await find_cached(exchange, understood, scope, cache=self._services.cache):
            exchange.handler = "cached"
            exchange.outcome = "answered"
            return
        if exchange.handler == "cached":
            exchange.handler = "llm"
        if exchange.service_level == "full":
            await self._retrieve(exchange, understood)
        facts = await self._assemble(exchange, understood)
        exchange.model_key = key = select_model(exchange, route)
        choice = exchange.parts.bundle.models[key]
        built = build_prompt(exchange, facts, session=understood.session, choice=choice)
        request = within_reservation(built, exchange.reservation) if exchange.reservation else None
        if request is None:
            _answer_without_tokens(exchange)
            return
        snapshot_chunks(exchange)
        exchange.outcome = "answered"
        async for event in generate(exchange, request, model=exchange.parts.models[key], choice=choice):
            yield event

    async def _retrieve(self, exchange: Exchange, understood: Understanding) -> None:
        query = plan_retrieval(understood.reading, understood.decision, understood.route)
        if query is None:
            return
        reading = understood.reading
        # the encoder knows neither case nor runs of white space
        same_text = reading.resolved_text.lower().split() == reading.text.lower().split()
        exchange.retrieval = await exchange.parts.retriever.retrieve(
            query, vector=understood.vector if same_text else None, trace=exchange.recorder
        )
        await screen_chunks(exchange)

    async def _assemble(self, exchange: Exchange, understood: Understanding) -> AnswerFacts:
        with exchange.recorder.span("assemble_facts") as span:
            facts = await self._services.assembler.assemble(
                understood.reading,
                understood.decision,
                exchange.retrieval,
                exchange.request.identity,
                self._services.clock.now(),
            )
            span.set(
                subjects=tuple(item.series.series_id for item in facts.subjects),
                candidates=len(facts.candidates),
                passages=len(facts.passages),
                orders=len(facts.orders),
                service_errors=facts.service_errors,
            )
        exchange.facts = facts
        exchange.degraded.extend(facts.service_errors)
        return facts

    async def _guard(self, exchange: Exchange) -> AsyncIterator[AnswerEvent]:
        verdict = await check_answer(exchange)
        if verdict.action != "allow":
            exchange.text = fallback_text(exchange) if verdict.fallback_triggered else verdict.text
            if verdict.fallback_triggered:
                exchange.outcome = "blocked"
            if exchange.streamed:
                yield AnswerReplaced(text=exchange.text, reason=verdict.rule_id or verdict.action)
        if not exchange.streamed:
            exchange.streamed = True
            yield AnswerToken(text=exchange.text)

    @staticmethod
    def _present(exchange: Exchange) -> None:
        if exchange.facts is not None and exchange.outcome == "answered" and not exchange.cache_hit:
            exchange.products = cards_of(exchange.facts, exchange.text)
            exchange.sources = sources_of(exchange.facts)

    async def _share(self, exchange: Exchange, understood: Understanding) -> None:
        scope = None if exchange.cache_hit else scope_of(exchange, understood)
        if scope is None or exchange.input_verdict is None:
            return
        # what names a person is nobody else's question
        if not self._services.redactor.holds_personal_data(exchange.request.message):
            await store_answer(exchange, understood, scope, cache=self._services.cache)

    async def _settle_budget(self, exchange: Exchange) -> None:
        """Book what was used, once; never raises."""
        reservation, exchange.reservation = exchange.reservation, None
        if reservation is None:
            return
        usage = exchange.usage
        used = usage.input_tokens + usage.cached_input_tokens + usage.output_tokens
        try:
            await self._services.budgets.settle(reservation, used_tokens=used)
        except DependencyError as error:
            # the reservation expires by itself; until then its tokens count as used
            exchange.degraded.append(f"budget: {error}")

    def _hand_over(self, exchange: Exchange) -> None:
        """Freeze the trace and give it to the sink; never raises, never waits."""
        request, recorder, redact = exchange.request, exchange.recorder, self._services.redactor.redact
        recorder.tags.update(_tags(exchange, self._services.environment))
        previews = [redact(text)[:PREVIEW_CHARS] for text in (request.message, exchange.text)]
        recorder.root.set(
            outcome=exchange.outcome,
            degraded=tuple(redact(item) for item in exchange.degraded),
            redaction_failed=FAILED in previews,
        )
        self._services.traces.accept(
            recorder.trace(
                response_id=exchange.response_id,
                session_id=request.session_id,
                request_preview=previews[0],
                response_preview=previews[1],
                sampling=sampling_of(exchange, environment=self._services.environment),
            )
        )


def _refuse_telling_id(session_id: str, redactor: Redactor) -> None:
    """Raise `InvalidRequestError` for an id that tells who its owner is: it stands on every record."""
    if redactor.redact(session_id, "conversation") not in (session_id, FAILED):
        raise InvalidRequestError("must be an opaque id; this one is personal data", field="session_id")


def _refused(exchange: Exchange, session: SessionContext, reading: Reading) -> Understanding:
    """Return the understanding of a message that must not be understood any further."""
    verdict = exchange.input_verdict
    decision = IntentDecision(
        intent=Intent.OUT_OF_SCOPE,
        confidence=1.0,
        classification_path="rule",
        stage=f"guardrail:{verdict.deciding_stage if verdict else None}",
        classifier_version="none",
    )
    kept = replace(reading, state=session.state)
    return Understanding(
        session=session, reading=kept, decision=decision, vector=None, route=Route(handler="template")
    )


def _answer_without_tokens(exchange: Exchange) -> None:
    """Answer from a template: what is left of the session's budget does not cover a model's answer."""
    answer_from_template(exchange, "budget_exhausted")
    exchange.handler = "template"
    exchange.service_level = "minimal"
    exchange.outcome = "budget_exhausted"


def _tags(exchange: Exchange, environment: str) -> dict[str, str]:
    request, understood, assignments = exchange.request, exchange.understood, exchange.assignments
    tags = {
        "session_id": request.session_id,
        "request_id": request.request_id,
        "response_id": exchange.response_id,
        "intent": understood.decision.intent.value if understood else "unknown",
        "page_type": request.page_context.page_type,
        "prompt_version": exchange.prompt_version,
        "release_bundle": exchange.parts.bundle.version,
        "bedrock_model_id": exchange.model_id,
        "cache_hit": "true" if exchange.cache_hit else "false",
        "user_type": request.identity.user_type,
        "route": exchange.handler,
        "outcome": exchange.outcome,
        "service_level": exchange.service_level,
        "deployment_stage": exchange.parts.deployment_stage,
        "environment": environment,
    }
    if assignments:
        tags["experiment_id"] = ",".join(one.experiment for one in assignments)
        tags["variant"] = ",".join(one.arm for one in assignments)
    return tags
