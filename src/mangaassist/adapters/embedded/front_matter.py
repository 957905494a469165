"""Reading versioned YAML files; every error names the file and the field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import yaml

from mangaassist.domain.errors import ConfigurationError


class VersionedFile:
    """One YAML mapping with typed access to its fields."""

    def __init__(self, path: Path, *, shown_as: str) -> None:
        self.shown_as = shown_as
        try:
            # the C parser, where PyYAML was built with it, is six times as fast
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigurationError(f"{shown_as} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise ConfigurationError(f"{shown_as} must hold a mapping, not {type(content).__name__}")
        self.content: Mapping[str, object] = content

    def fail(self, field: str, expected: str) -> ConfigurationError:
        """Return the error for a field."""
        return ConfigurationError(f"{self.shown_as}: {field}: expected {expected}")

    def only(self, *fields: str) -> None:
        """Refuse fields that nobody reads."""
        for name in self.content:
            if name not in fields:
                raise self.fail(str(name), f"one of {sorted(fields)}")

    def text(self, field: str) -> str:
        """Return a text that must not be blank."""
        value = self.content.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(field, "a text that is not blank")
        return value

    def optional_text(self, field: str) -> str | None:
        """Return a text, or None where the field is null or missing."""
        return None if self.content.get(field) is None else self.text(field)

    def date(self, field: str) -> date:
        """Return a date."""
        value = self.content.get(field)
        if type(value) is not date:
            raise self.fail(field, "a date such as 2026-11-21")
        return value

    def mapping(self, field: str) -> Mapping[str, object]:
        """Return a mapping; an absent one is empty."""
        value = self.content.get(field) or {}
        if not isinstance(value, dict):
            raise self.fail(field, "a mapping")
        return value

    def items(self, field: str) -> list[object]:
        """Return a list; an absent one is empty."""
        value = self.content.get(field) or []
        if not isinstance(value, list):
            raise self.fail(field, "a list")
        return value

    def texts(self, value: object, field: str) -> tuple[str, ...]:
        """Return a list of texts, of which there must be one at least."""
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(each, str) and each.strip() for each in value)
        ):
            raise self.fail(field, "a list of texts")
        return tuple(value)
