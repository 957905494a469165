"""Sealed contents and customer keys as rows, in the database of the turns they belong to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mangaassist.adapters.sql.database import Database, Parameter, Row, Rows, Write, moment_of, timestamp
from mangaassist.domain.contents import CustomerKey, SealedContent
from mangaassist.domain.errors import ConfigurationError, NotFoundError
from mangaassist.ports.clock import Clock, IdFactory

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PAGE: Final = 200

_INSERT: Final = (
    "INSERT INTO contents (address, key_id, body, kept_until)"
    " SELECT :{p}address, CAST(:{p}key_id AS TEXT), :{p}body, :{p}kept_until WHERE {condition}"
    " ON CONFLICT (address) DO UPDATE SET kept_until = excluded.kept_until"
    " WHERE excluded.kept_until > contents.kept_until"
)
_KEY_EXISTS: Final = (
    "(CAST(:{p}key_id AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM customer_keys WHERE key_id = :{p}key_id))"
)

INSERT_CAPSULE: Final = _INSERT.format(p="capsule_", condition=_KEY_EXISTS.format(p="capsule_"))
"""Writes a turn's capsule in its transaction, unless its key was destroyed meanwhile."""

_SWEEP: Final = (
    "DELETE FROM contents WHERE address IN"
    " (SELECT address FROM contents WHERE kept_until < :now ORDER BY kept_until LIMIT :limit)"
    " RETURNING address"
)

_KEY_OF: Final = (
    "INSERT INTO customer_keys (key_id, owner, wrapped_key, created_at)"
    " SELECT :key_id, :owner, :wrapped_key, :created_at WHERE true ON CONFLICT (owner) DO NOTHING",
    "SELECT key_id, wrapped_key FROM customer_keys WHERE owner = :owner",
)
_FIND_OF: Final = "SELECT key_id, wrapped_key FROM customer_keys WHERE owner = :owner"
_FIND: Final = "SELECT key_id, wrapped_key FROM customer_keys WHERE key_id = :key_id"
_FORGET: Final = (
    "DELETE FROM contents WHERE key_id IN (SELECT key_id FROM customer_keys WHERE owner = :owner)",
    "DELETE FROM customer_keys WHERE owner = :owner RETURNING key_id",
)


class SqlContentStore:
    """A `ContentStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, contents: Sequence[SealedContent]) -> None:
        """Store them in one durable transaction, in the order of their addresses."""
        if not contents:
            return
        statements, parameters = [], dict[str, Parameter]()
        for number, content in enumerate(sorted(contents, key=lambda one: one.address)):
            prefix = f"c{number}_"
            statements.append(_INSERT.format(p=prefix, condition=_KEY_EXISTS.format(p=prefix)))
            parameters |= content_parameters(content, prefix)
        await self._database.write(
            Write(
                statements=tuple(statements),
                parameters=parameters,
                lock_key="contents",
                outcome=lambda results: None,
            )
        )

    async def get(self, addresses: Collection[str]) -> Mapping[str, SealedContent]:
        """Return what is there, by address."""
        wanted = sorted(set(addresses))
        found: dict[str, SealedContent] = {}
        for start in range(0, len(wanted), _PAGE):
            names, parameters = _listed(wanted[start : start + _PAGE])
            rows = await self._database.read(
                f"SELECT address, key_id, body, kept_until FROM contents WHERE address IN ({names})",
                parameters,
            )
            found |= {row[0]: _content(row) for row in rows}
        return found

    async def delete(self, addresses: Collection[str]) -> None:
        """Remove them in one transaction."""
        if addresses:
            names, parameters = _listed(sorted(set(addresses)))
            await self._database.write(
                Write(
                    statements=(f"DELETE FROM contents WHERE address IN ({names})",),
                    parameters=parameters,
                    lock_key="contents",
                    outcome=lambda results: None,
                )
            )

    async def sweep(self, now: datetime, *, limit: int) -> int:
        """Remove what has been kept long enough, oldest first."""
        return await self._database.write(
            Write(
                statements=(_SWEEP,),
                parameters={"now": timestamp(now), "limit": limit},
                lock_key="contents",
                outcome=lambda results: len(results[0]),
            )
        )


class SqlCustomerKeys:
    """`CustomerKeys` in the database, each wrapped by the installation's own key."""

    def __init__(
        self,
        database: Database,
        *,
        master_key: bytes,
        clock: Clock,
        ids: IdFactory,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        if len(master_key) != KEY_BYTES:
            raise ConfigurationError(f"the content key has {len(master_key)} bytes, not {KEY_BYTES}")
        self._database = database
        self._wrapping = AESGCM(master_key)
        self._clock = clock
        self._ids = ids
        self._random_bytes = random_bytes

    async def key_of(self, owner: str) -> CustomerKey:
        """Return the owner's key; a new one reaches the disk with the turn that is encrypted under it."""
        rows = await self._database.read(_FIND_OF, {"owner": owner})
        if rows:
            return self._unwrapped(rows[0])
        key_id = self._ids.sortable("key")
        return await self._database.write_volatile(
            Write(
                statements=_KEY_OF,
                parameters={
                    "key_id": key_id,
                    "owner": owner,
                    "wrapped_key": self._wrapped(key_id, self._random_bytes(KEY_BYTES)),
                    "created_at": timestamp(self._clock.now()),
                },
                lock_key=owner,
                outcome=lambda results: self._unwrapped(results[1][0]),
            )
        )

    async def find(self, key_id: str) -> CustomerKey:
        """Return a key, or raise `NotFoundError` when it was forgotten."""
        rows = await self._database.read(_FIND, {"key_id": key_id})
        if not rows:
            raise NotFoundError(f"customer key {key_id!r} was destroyed: what it sealed is forgotten")
        return self._unwrapped(rows[0])

    async def forget(self, owner: str) -> bool:
        """Destroy the owner's key and its contents in one durable transaction."""

        def outcome(results: Sequence[Rows]) -> bool:
            return bool(results[1])

        return await self._database.write(
            Write(statements=_FORGET, parameters={"owner": owner}, lock_key=owner, outcome=outcome)
        )

    def _wrapped(self, key_id: str, secret: bytes) -> bytes:
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, secret, key_id.encode())

    def _unwrapped(self, row: Row) -> CustomerKey:
        key_id, wrapped = row[0], bytes(row[1])
        try:
            secret = self._wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], key_id.encode())
        except InvalidTag as error:
            raise ConfigurationError(
                f"customer key {key_id!r} was wrapped by another content key; set MANGAASSIST_CONTENT_KEY "
                "to the one this database was filled with"
            ) from error
        return CustomerKey(key_id=key_id, secret=secret)


def content_parameters(content: SealedContent, prefix: str) -> dict[str, Parameter]:
    """Return the parameters of an insertion whose names begin with `prefix`."""
    return {
        f"{prefix}address": content.address,
        f"{prefix}key_id": content.key_id,
        f"{prefix}body": content.body,
        f"{prefix}kept_until": timestamp(content.kept_until),
    }


def _content(row: Row) -> SealedContent:
    return SealedContent(address=row[0], key_id=row[1], body=bytes(row[2]), kept_until=moment_of(row[3]))


def _listed(values: Sequence[str]) -> tuple[str, dict[str, Parameter]]:
    names = [f"v{number}" for number in range(len(values))]
    return ", ".join(f":{name}" for name in names), dict(zip(names, values, strict=True))
