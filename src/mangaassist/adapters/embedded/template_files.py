"""Answer templates from `templates/<name>.yaml`."""

from __future__ import annotations

from pathlib import Path

from mangaassist.adapters.embedded.front_matter import VersionedFile
from mangaassist.domain.answer_templates import AnswerTemplate, TemplateCase
from mangaassist.domain.errors import ConfigurationError


def load(directory: Path) -> dict[str, AnswerTemplate]:
    """Return the templates by name; raise `ConfigurationError` naming file and field."""
    if not directory.is_dir():
        raise ConfigurationError(f"there is no template directory {directory.name!r}")
    templates = (_load(path) for path in sorted(directory.glob("*.yaml")))
    return {template.name: template for template in templates}


def _load(path: Path) -> AnswerTemplate:
    file = VersionedFile(path, shown_as=f"templates/{path.name}")
    file.only("version", "author", "date", "description", "bodies", "cases", "parts")
    return AnswerTemplate(
        name=path.stem,
        version=file.text("version"),
        author=file.text("author"),
        date=file.date("date"),
        description=file.text("description"),
        cases=_cases(file),
        parts={
            str(name): file.texts(bodies, f"parts.{name}") for name, bodies in file.mapping("parts").items()
        },
    )


def _cases(file: VersionedFile) -> tuple[TemplateCase, ...]:
    if "bodies" in file.content:
        if "cases" in file.content:
            raise file.fail("cases", "either `bodies` or `cases`, not both")
        return (TemplateCase(bodies=file.texts(file.content["bodies"], "bodies")),)
    cases = []
    for number, case in enumerate(file.items("cases")):
        field = f"cases[{number}]"
        if not isinstance(case, dict) or not set(case) <= {"when", "bodies"}:
            raise file.fail(field, "a mapping of `when` and `bodies`")
        when = case.get("when")
        if when is not None and not isinstance(when, str):
            raise file.fail(f"{field}.when", "an expression as text")
        cases.append(TemplateCase(when=when, bodies=file.texts(case.get("bodies"), f"{field}.bodies")))
    if not cases:
        raise file.fail("cases", "at least one case, or `bodies`")
    return tuple(cases)
