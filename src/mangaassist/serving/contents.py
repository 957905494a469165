"""Seals what is kept of an answer: hashed, compressed, encrypted where it holds a customer's words."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mangaassist.domain.contents import CustomerKey, SealedContent
from mangaassist.domain.errors import DamagedContentError, NotFoundError
from mangaassist.ports.clock import Clock
from mangaassist.ports.contents import ContentStore, CustomerKeys

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_COMPRESSION: Final = 1  # level 6 saves another tenth of the bytes for three times the CPU
_KEY_TTL_NS: Final = 60_000_000_000
"""How long a destroyed key may still be used by a process that holds it; what it seals is not stored."""

_KNOWN: Final = 20_000
_RENEWED_AFTER: Final = timedelta(days=1)


class Contents:
    """Keeps shared contents once, and customers' contents under their own keys, for `retention`.

    Shared contents are put again a day after they were put last, so that each outlives its last use by
    `retention`.
    """

    def __init__(
        self,
        *,
        store: ContentStore,
        keys: CustomerKeys,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        retention: timedelta,
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._random_bytes = random_bytes
        self._retention = retention
        self._put_day: OrderedDict[str, int] = OrderedDict()
        self._held_keys: OrderedDict[str, tuple[int, CustomerKey]] = OrderedDict()

    async def keep_shared(self, contents: Sequence[bytes]) -> tuple[str, ...]:
        """Store contents without a customer's words and return their addresses; known ones cost a hash."""
        addresses = tuple(hashlib.sha256(content).hexdigest() for content in contents)
        now = self._clock.now()
        today = int(now.timestamp() // _RENEWED_AFTER.total_seconds())
        new = {
            address: content
            for address, content in zip(addresses, contents, strict=True)
            if self._put_day.get(address) != today
        }
        if new:
            kept_until = now + self._retention + _RENEWED_AFTER
            await self._store.put(
                [
                    SealedContent(
                        address=address,
                        body=_FORMAT + zlib.compress(content, _COMPRESSION),
                        kept_until=kept_until,
                    )
                    for address, content in new.items()
                ]
            )
            for address in new:
                self._put_day[address] = today
            while len(self._put_day) > _KNOWN:
                self._put_day.popitem(last=False)
        return addresses

    async def seal(self, content: bytes, *, owner: str) -> SealedContent:
        """Return the content sealed under its customer's key, for the caller to store."""
        key = await self._key_of(owner)
        address = hmac.digest(key.secret, content, "sha256").hex()
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = AESGCM(key.secret).encrypt(nonce, zlib.compress(content, _COMPRESSION), address.encode())
        return SealedContent(
            address=address,
            body=_FORMAT + nonce + sealed,
            kept_until=self._clock.now() + self._retention,
            key_id=key.key_id,
        )

    async def open(self, addresses: Collection[str]) -> Mapping[str, bytes]:
        """Return the plain contents.

        Raises `NotFoundError` for one that is not kept any more or whose customer was forgotten, and
        `DamagedContentError` for one that is not what was stored.
        """
        found = await self._store.get(addresses)
        missing = sorted(set(addresses) - set(found))
        if missing:
            raise NotFoundError(
                f"{len(missing)} of {len(set(addresses))} contents are not kept any more, e.g. {missing[0]}"
            )
        return {address: await self._opened(content) for address, content in found.items()}

    async def _opened(self, content: SealedContent) -> bytes:
        try:
            if content.key_id is None:
                plain = zlib.decompress(_payload(content))
                address = hashlib.sha256(plain).hexdigest()
            else:
                key = await self._keys.find(content.key_id)
                body = _payload(content)
                compressed = AESGCM(key.secret).decrypt(
                    body[:_NONCE_BYTES], body[_NONCE_BYTES:], content.address.encode()
                )
                plain = zlib.decompress(compressed)
                address = hmac.digest(key.secret, plain, "sha256").hex()
        except (zlib.error, InvalidTag, ValueError) as error:
            raise DamagedContentError(f"content {content.address} cannot be opened: {error!r}") from error
        if not hmac.compare_digest(address, content.address):
            raise DamagedContentError(f"content {content.address} is not what was stored under its address")
        return plain

    async def _key_of(self, owner: str) -> CustomerKey:
        now_ns = self._clock.monotonic_ns()
        held = self._held_keys.get(owner)
        if held is not None and now_ns - held[0] < _KEY_TTL_NS:
            return held[1]
        key = await self._keys.key_of(owner)
        self._held_keys[owner] = (now_ns, key)
        self._held_keys.move_to_end(owner)
        while len(self._held_keys) > _KNOWN:
            self._held_keys.popitem(last=False)
        return key


def _payload(content: SealedContent) -> bytes:
    if content.body[:1] != _FORMAT:
        raise ValueError("not a format that this version reads")
    return content.body[1:]
