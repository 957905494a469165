"""Which host a link goes to, as a browser would read it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def host_of(link: str) -> str | None:
    """Return the host that a browser would go to; None where there is none or it cannot be told.

    Browsers take a backslash for a slash, ignore what stands before an `@`, and a final dot.
    """
    plain = link.replace("\\", "/")
    if "//" not in plain and not re.match(r"(?i)(?:javascript|data|vbscript|file):", plain):
        plain = "//" + plain
    try:
        host = urlsplit(plain).hostname
    except ValueError:
        return None
    return host.rstrip(".").lower() if host else None


def host_allowed(host: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a host is an allowed one or below one."""
    # a host outside ASCII may only look like ours
    return (
        host is not None
        and host.isascii()
        and any(host == own or host.endswith("." + own) for own in allowed)
    )
