"""Answers from templates: sandboxed, checked when loaded, worded by a stable choice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime

import orjson
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mangaassist.domain.answer_templates import AnswerTemplate
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent
from mangaassist.domain.order_contents import contents
from mangaassist.domain.wording import counted, day, in_words, listed, money, stable_choice
from mangaassist.serving.sample_facts import sample_facts

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")

Condition = Callable[..., object]


class TemplateLibrary:
    """The templates of one store pack, compiled once; `version` changes with any of their content."""

    def __init__(self, templates: Iterable[AnswerTemplate]) -> None:
        environment = _environment()
        self._compiled = {template.name: _Compiled(environment, template) for template in templates}
        self.version = _content_version(compiled.source for compiled in self._compiled.values())
        for compiled in self._compiled.values():
            compiled.check()

    @classmethod
    def from_mapping(cls, templates: Mapping[str, AnswerTemplate]) -> TemplateLibrary:
        """Build the library from templates by name; raise `ConfigurationError` for one that cannot render."""
        for name, template in templates.items():
            if name != template.name:
                raise ConfigurationError(f"template {template.name!r} is filed under {name!r}")
        return cls(templates.values())

    def __contains__(self, name: str) -> bool:
        return name in self._compiled

    def version_of(self, name: str) -> str:
        """Return the version as written on traces, e.g. `template/chitchat-1.0`."""
        return self._get(name).source.template_version

    def render(self, name: str, facts: AnswerFacts | None = None, **extra: object) -> str:
        """Return the answer; `extra` are further variables of the template (such as `retry_after_s`)."""
        return self._get(name).render(facts, extra)

    def _get(self, name: str) -> _Compiled:
        if name not in self._compiled:
            raise ConfigurationError(f"no template {name!r}; there are {sorted(self._compiled)}")
        return self._compiled[name]


class _Compiled:
    """One template with its cases, wordings and parts compiled."""

    def __init__(self, environment: ImmutableSandboxedEnvironment, source: AnswerTemplate) -> None:
        self.source = source
        try:
            self._cases: list[tuple[Condition | None, list[Template]]] = [
                (
                    None
                    if case.when is None
                    else environment.compile_expression(case.when, undefined_to_none=False),
                    [environment.from_string(body) for body in case.bodies],
                )
                for case in source.cases
            ]
            self._parts = {
                name: [environment.from_string(body) for body in bodies]
                for name, bodies in source.parts.items()
            }
        except TemplateError as error:
            raise ConfigurationError(f"template {source.name!r} cannot be compiled: {error}") from error

    def render(self, facts: AnswerFacts | None, extra: Mapping[str, object]) -> str:
        """Render the chosen wording of the first case that holds."""
        variables = self._variables(facts, extra, seed=_seed(facts))
        for condition, bodies in self._cases:
            if condition is None or condition(**variables):
                chosen = bodies[stable_choice(f"{_seed(facts)}|{self.source.name}", len(bodies))]
                return _tidy(chosen.render(variables))
        raise ConfigurationError(f"template {self.source.name!r} has no case for this situation")

    def check(self) -> None:
        """Render every wording whose case holds for each sample; raise `ConfigurationError` if one fails."""
        samples: list[AnswerFacts | None] = [None, *sample_facts(Intent.FAQ)]
        for facts in samples:
            try:
                self._check_one(self._variables(facts, _SAMPLE_EXTRA, seed=None))
            except (TemplateError, TypeError, AttributeError, ValueError) as error:
                raise ConfigurationError(
                    f"template {self.source.name!r} cannot be rendered: {error}"
                ) from error

    def _check_one(self, variables: Mapping[str, object]) -> None:
        for condition, bodies in self._cases:
            if condition is not None and not condition(**variables):
                continue
            for body in bodies:
                if not _tidy(body.render(variables)):
                    raise ValueError("a wording renders to nothing")
            return
        raise ValueError("no case holds; let the last case have no `when`")

    def _variables(
        self, facts: AnswerFacts | None, extra: Mapping[str, object], *, seed: str | None
    ) -> dict[str, object]:
        """Return what a body can name; without a seed `part` renders each wording, to find what fails."""

        def part(name: str, **values: object) -> str:
            if name not in self._parts:
                raise ValueError(f"there is no part {name!r}")
            bodies = self._parts[name]
            if seed is None:
                every = [_tidy(body.render({**variables, **values})) for body in bodies]
                return every[0]
            chosen = bodies[stable_choice(f"{seed}|{name}", len(bodies))]
            return _tidy(chosen.render({**variables, **values}))

        variables: dict[str, object] = {
            "facts": facts,
            "orders": facts.orders if facts else (),
            "signed_in": bool(facts and facts.signed_in),
            "first_name": facts.customer.name.split(" ", 1)[0] if facts and facts.customer else None,
            "now": facts.now if facts else None,
            "said": _listener(facts.reading.text if facts else ""),
            "part": part,
            **extra,
        }
        return variables


_SAMPLE_EXTRA: Mapping[str, object] = {"retry_after_s": 30}


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        money=money, day=_day, listed=listed, counted=counted, in_words=in_words, contents=contents
    )
    return environment


def _day(value: date | datetime, now: datetime | None = None) -> str:
    return day(value, now=now)


def _listener(text: str) -> Callable[..., bool]:
    """Return `said(phrase, ...)`: whether the message holds one of the phrases as whole words."""
    spoken = f" {' '.join(_WORD.findall(text.casefold().replace('’', chr(39))))} "

    def said(*phrases: str) -> bool:
        return any(f" {phrase} " in spoken for phrase in phrases)

    return said


def _seed(facts: AnswerFacts | None) -> str:
    return "" if facts is None else f"{facts.reading.text}|{facts.reading.state.turn_count}"


def _tidy(text: str) -> str:
    """Join the lines of each paragraph; a blank line separates paragraphs."""
    paragraphs = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _content_version(templates: Iterable[AnswerTemplate]) -> str:
    content = [
        [
            template.name,
            template.version,
            [[case.when, case.bodies] for case in template.cases],
            template.parts,
        ]
        for template in sorted(templates, key=lambda template: template.name)
    ]
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"templates-{digest[:8]}"
