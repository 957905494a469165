"""`PromptBuilder`: a stable system prefix, then history, then the facts and the question."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mangaassist.domain.chat import Turn
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.generation import Message
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent
from mangaassist.domain.prompts import BuiltPrompt, PromptTemplate
from mangaassist.domain.token_estimates import estimated_tokens
from mangaassist.serving.prompts import blocks
from mangaassist.serving.prompts.history import history_messages
from mangaassist.serving.sample_facts import sample_facts

_GAPS = re.compile(r"\n{2,}(?=<)")  # where a block had nothing to show


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What is the same for every message of an intent."""

    template: PromptTemplate
    system: str
    system_hash: str
    template_hash: str
    prefix_tokens: int
    user: Template


class PromptBuilder:
    """Builds prompts from one version of each intent's template over a shared base.

    Templates are compiled, and rendered with sample facts, when the builder is made:
    `ConfigurationError` names the prompt that cannot be used.
    """

    def __init__(self, templates: Mapping[str, PromptTemplate], base: PromptTemplate) -> None:
        environment = _environment()
        self._prepared = {
            intent: _prepare(environment, template, base) for intent, template in templates.items()
        }
        for intent, prepared in self._prepared.items():
            _check(intent, prepared)

    def build(
        self, intent: str, facts: AnswerFacts, history: tuple[Turn, ...], *, min_cacheable_tokens: int
    ) -> BuiltPrompt:
        """Return the prompt; `min_cacheable_tokens` is the shortest prefix that the provider caches."""
        if intent not in self._prepared:
            raise ConfigurationError(f"no prompt for intent {intent!r}; there are {sorted(self._prepared)}")
        prepared = self._prepared[intent]
        earlier = history_messages(history)
        messages = (
            *earlier,
            Message(role="user", text=_render_user(prepared, facts, turns=len(earlier) // 2)),
        )
        return BuiltPrompt(
            prompt_version=prepared.template.prompt_version,
            system=prepared.system,
            messages=messages,
            limits=prepared.template.limits,
            prompt_hash=prompt_hash(prepared.system, messages),
            system_prompt_hash=prepared.system_hash,
            template_hash=prepared.template_hash,
            prompt_chars=len(prepared.system) + sum(len(message.text) for message in messages),
            cacheable_prefix_tokens=prepared.prefix_tokens,
            prefix_qualifies_for_caching=prepared.prefix_tokens >= min_cacheable_tokens,
        )


def _environment() -> ImmutableSandboxedEnvironment:
    """Return the sandbox: anything a template prints that is not a block is escaped."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals = {
        "customer_message": blocks.customer_message,
        "passages": blocks.passages,
        "series": blocks.series,
        "orders": blocks.orders,
        "promotions": blocks.promotions,
        "customer": blocks.customer,
        "wishes": blocks.wishes,
        "notes": blocks.notes,
    }
    return environment


def _prepare(
    environment: ImmutableSandboxedEnvironment, template: PromptTemplate, base: PromptTemplate
) -> _Prepared:
    limits = template.limits
    try:
        parts = [
            environment.from_string(source).render(limits=limits).strip()
            for source in (base.system, template.system)
        ]
        user = environment.from_string(template.user)
    except TemplateError as error:
        raise ConfigurationError(f"prompt {template.prompt_version} cannot be compiled: {error}") from error
    parts += [
        f"<example>\n{blocks.customer_message(example.user)}\n<answer>\n{example.assistant}\n</answer>\n</example>"
        for example in template.examples
    ]
    system = "\n\n".join(parts)
    return _Prepared(
        template=template,
        system=system,
        system_hash=hashlib.sha256(system.encode()).hexdigest(),
        template_hash=hashlib.sha256(orjson.dumps([system, template.user, limits])).hexdigest(),
        prefix_tokens=estimated_tokens(len(system)),
        user=user,
    )


def _render_user(prepared: _Prepared, facts: AnswerFacts, *, turns: int) -> str:
    note = (
        f"{turns} earlier turns of this conversation precede." if turns else "The conversation begins here."
    )
    text = prepared.user.render(facts=facts, question=facts.reading.text, history_note=note)
    return _GAPS.sub("\n", text).strip()


def prompt_hash(system: str, messages: tuple[Message, ...]) -> str:
    """Return the SHA-256 of what is sent to a model: the system prefix and the messages with their roles."""
    sent = {"system": system, "messages": [[message.role, message.text] for message in messages]}
    return hashlib.sha256(orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _check(intent: str, prepared: _Prepared) -> None:
    try:
        for facts in sample_facts(Intent(intent)):
            text = _render_user(prepared, facts, turns=0)
            if str(blocks.customer_message(facts.reading.text)) not in text:
                raise ValueError("its user text must hold customer_message(question)")
    except (TemplateError, TypeError, AttributeError, ValueError) as error:
        version = prepared.template.prompt_version
        raise ConfigurationError(f"prompt {version} cannot be rendered: {error}") from error
