"""Builds what keeps the evidence of answers: content store, customer keys, sealing."""

from __future__ import annotations

import secrets
from datetime import timedelta

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.secrets import local_secret
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.clock import Clock
from mangaassist.serving.contents import Contents


def build_contents(settings: Settings, storage: SqlStorage, *, clock: Clock) -> Contents:
    """Return the contents of this installation, sealed under its content key."""
    return Contents(
        store=storage.contents,
        keys=storage.customer_keys(master_key=content_key(settings), random_bytes=secrets.token_bytes),
        clock=clock,
        random_bytes=secrets.token_bytes,
        retention=timedelta(days=settings.content_retention_days),
    )


def content_key(settings: Settings) -> bytes:
    """Return the key that wraps customer keys: the configured one, else this data directory's own."""
    configured = settings.content_key
    text = (
        configured.get_secret_value()
        if configured
        else local_secret(settings.data_dir / "keys" / "content.key")
    )
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ConfigurationError("MANGAASSIST_CONTENT_KEY must be 64 hex characters") from error
