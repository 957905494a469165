"""Policies of experiments, gates and drift checks from YAML: any of their fields, the rest as shipped."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from mangaassist.domain.errors import ConfigurationError

Policy = TypeVar("Policy")


def load_policy(kind: type[Policy], path: Path | None) -> Policy:
    """Read a policy; raise `ConfigurationError` naming every unknown field and every wrong value."""
    if path is None:
        return kind()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"policy {str(path)!r} cannot be read: {error}") from error
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]  # every policy is a dataclass
    if not isinstance(content, dict) or not set(content) <= set(known):
        strange = sorted(set(content) - set(known)) if isinstance(content, dict) else content
        raise ConfigurationError(f"policy {str(path)!r}: {strange!r} not known; expected {', '.join(known)}")
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors()
        )
        raise ConfigurationError(f"policy {str(path)!r}: {problems}") from error
