"""What the processes of one installation tell each other: their settings, by the environment."""

from __future__ import annotations

import os

from mangaassist.bootstrap.settings import Settings


def settings_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that make another process read the settings that were set here on purpose.

    Secrets are left out: a child inherits them from the environment they were read from.
    """
    chosen = settings.model_dump(mode="json", include=settings.model_fields_set, exclude=_secrets())
    return {
        f"MANGAASSIST_{name.upper()}": str(value)
        for name, value in chosen.items()
        if isinstance(value, str | int | float)
    }


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the whole environment of a child process."""
    return {**os.environ, **settings_environment(settings), "PYTHONUNBUFFERED": "1"}


def export_settings(settings: Settings) -> None:
    """Let what is started or imported by name from here on read the same settings."""
    os.environ.update(settings_environment(settings))


def _secrets() -> set[str]:
    return {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
