"""Contents kept beside a record: sealed bytes under an address that proves what they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedContent:
    """Bytes as they are stored: compressed, and encrypted with the customer key `key_id` where that is set.

    `address` is 64 hex characters: the SHA-256 of the plain bytes, or their HMAC-SHA256 under the
    customer's key, so that nobody without the key can test a guess against it.
    """

    address: str
    body: bytes
    kept_until: datetime
    key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerKey:
    """The 32 secret bytes under which one customer's words are kept; destroying it forgets them all."""

    key_id: str
    secret: bytes = field(repr=False)
