"""Checks a store pack: its records, and the files around them that other parts of the product read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mangaassist.adapters.embedded import prompt_files, template_files
from mangaassist.adapters.embedded.store_pack import (
    count_records,
    read_mapping,
    read_store_pack,
    read_utterances,
)
from mangaassist.bootstrap.guardrails import load_ruleset
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.store_pack import (
    TARGET_COUNTS,
    Problem,
    StoreManifest,
    check_pack,
    check_utterances,
)
from mangaassist.serving.runtime_configuration import parse_runtime_configuration
from mangaassist.serving.templates import TemplateLibrary

CONFIGURATION = "config.yaml"
RULESET = "guardrails/ruleset.yaml"
PROMPTS = "prompts"
TEMPLATES = "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreValidation:
    """What a pack holds and what is wrong with it; `targets` are the counts that the demo store aims at."""

    manifest: StoreManifest
    counts: Mapping[str, int]
    targets: Mapping[str, int]
    problems: tuple[Problem, ...]

    @property
    def error_count(self) -> int:
        """Problems that make the pack unusable; warnings are not among them."""
        return sum(problem.severity == "error" for problem in self.problems)


def validate_store(folder: Path) -> StoreValidation:
    """Check everything in `folder` and report every problem; raise only when there is no such folder."""
    if not folder.is_dir():
        raise ConfigurationError(f"{str(folder)!r} is not a folder; expected one with a store.yaml")
    reading = read_store_pack(folder)
    utterances, utterance_problems = read_utterances(folder)
    problems = [
        *reading.problems,
        *check_pack(reading.pack),
        *utterance_problems,
        *check_utterances(utterances),
        *_surrounding_problems(folder),
    ]
    return StoreValidation(
        manifest=reading.pack.manifest,
        counts={**count_records(reading.pack), "utterances": len(utterances.records)},
        targets=TARGET_COUNTS,
        problems=tuple(problems),
    )


def _surrounding_problems(folder: Path) -> Iterator[Problem]:
    """Check what stands around the records: routes, prompts, templates, guardrails."""
    templates: set[str] = set()
    prompts: set[tuple[str, str]] = set()

    def read_templates() -> None:
        found = template_files.load(folder / TEMPLATES)
        TemplateLibrary.from_mapping(found)
        templates.update(found)

    def read_prompts() -> None:
        prompts.update(
            (prompt.intent, prompt.version) for prompt in prompt_files.load_prompts(folder / PROMPTS)
        )

    yield from _refusal(TEMPLATES, read_templates)
    yield from _refusal(PROMPTS, read_prompts)
    yield from _refusal(RULESET, lambda: load_ruleset(folder / RULESET))
    yield from _route_problems(folder, templates=templates, prompts=prompts)


def _refusal(path: str, read: Callable[[], object]) -> Iterator[Problem]:
    try:
        read()
    except ConfigurationError as error:
        yield Problem(path=path, message=str(error))


def _route_problems(folder: Path, *, templates: set[str], prompts: set[tuple[str, str]]) -> Iterator[Problem]:
    unreadable: list[Problem] = []
    content = read_mapping(folder, CONFIGURATION, unreadable)
    yield from unreadable
    if content is None:
        return
    try:
        configuration = parse_runtime_configuration(content)
    except ConfigurationError as error:
        yield Problem(path=CONFIGURATION, message=str(error))
        return
    for intent, route in configuration.routes.items():
        if route.template is not None and route.template not in templates:
            yield Problem(
                path=CONFIGURATION,
                field=f"routes.{intent}.template",
                message=f"expected a file {TEMPLATES}/{route.template}.yaml, found none",
            )
    for intent_name, version in configuration.prompts.items():
        if (intent_name, version) not in prompts:
            yield Problem(
                path=CONFIGURATION,
                field=f"prompts.{intent_name}",
                message=f"expected a file {PROMPTS}/{intent_name}/v{version}.yaml, found none",
            )
