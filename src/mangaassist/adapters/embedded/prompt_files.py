"""Prompts from `prompts/<intent>/v<version>.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mangaassist.adapters.embedded.front_matter import VersionedFile
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.generation import AnswerLimits
from mangaassist.domain.prompts import FewShotExample, PromptTemplate

_FIELDS = (
    *("version", "author", "date", "description", "eval_run_id"),
    *("intent", "limits", "examples", "system", "user"),
)
_TONES: dict[object, Literal["warm", "plain", "brief", "apologetic"]] = {
    "warm": "warm",
    "plain": "plain",
    "brief": "brief",
    "apologetic": "apologetic",
}


def load_prompts(directory: Path) -> list[PromptTemplate]:
    """Return all prompts in all versions; raise `ConfigurationError` naming file and field."""
    if not directory.is_dir():
        raise ConfigurationError(f"there is no prompt directory {directory.name!r}")
    return [_load(path) for path in sorted(directory.glob("*/v*.yaml"))]


def _load(path: Path) -> PromptTemplate:
    file = VersionedFile(path, shown_as=f"prompts/{path.parent.name}/{path.name}")
    file.only(*_FIELDS)
    intent, version = file.text("intent"), file.text("version")
    if intent != path.parent.name:
        raise file.fail("intent", f"the name of its folder, {path.parent.name!r}")
    if f"v{version}" != path.stem:
        raise file.fail("version", f"the version of the file name, {path.stem[1:]!r}")
    return PromptTemplate(
        intent=intent,
        version=version,
        author=file.text("author"),
        date=file.date("date"),
        description=file.text("description"),
        eval_run_id=file.optional_text("eval_run_id"),
        system=file.text("system"),
        user="" if intent == "base" else file.text("user"),
        limits=_limits(file),
        examples=_examples(file),
    )


def _limits(file: VersionedFile) -> AnswerLimits:
    limits = file.mapping("limits")
    defaults = AnswerLimits()
    for name in limits:
        if name not in ("max_titles", "max_words", "tone"):
            raise file.fail(f"limits.{name}", "one of ['max_titles', 'max_words', 'tone']")
    tone = limits.get("tone", defaults.tone)
    if tone not in _TONES:
        raise file.fail("limits.tone", f"one of {list(_TONES)}")
    return AnswerLimits(
        max_titles=_positive(file, "max_titles", limits.get("max_titles", defaults.max_titles)),
        max_words=_positive(file, "max_words", limits.get("max_words", defaults.max_words)),
        tone=_TONES[tone],
    )


def _positive(file: VersionedFile, name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise file.fail(f"limits.{name}", "a whole number of 1 or more")
    return value


def _examples(file: VersionedFile) -> tuple[FewShotExample, ...]:
    examples = []
    for number, example in enumerate(file.items("examples")):
        if not isinstance(example, dict) or set(example) != {"user", "assistant"}:
            raise file.fail(f"examples[{number}]", "a mapping of `user` and `assistant`")
        for role, text in example.items():
            if not isinstance(text, str) or not text.strip():
                raise file.fail(f"examples[{number}].{role}", "a text that is not blank")
        examples.append(FewShotExample(user=example["user"].strip(), assistant=example["assistant"].strip()))
    return tuple(examples)
