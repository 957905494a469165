"""Keys of the embedded profile: made once, kept readable by their owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from mangaassist.domain.errors import ConfigurationError


def local_secret(path: Path) -> str:
    """Return the secret in a file, made when it does not exist; safe when two processes start together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        secret = path.read_text(encoding="ascii").strip()
        if len(secret) < 32:
            raise ConfigurationError(f"{path.name} holds no usable key; remove it and start again") from None
        return secret
    secret = secrets.token_hex(32)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secret)
    return secret
