"""Where sealed contents are kept, and the keys of the customers whose words they hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mangaassist.domain.contents import CustomerKey, SealedContent


class ContentStore(Protocol):
    """Keeps sealed contents by address.

    Every implementation promises: durable when `put` returns; putting an address again keeps the first
    body and the later `kept_until`; a reader never sees part of a body, whenever a writer was killed;
    what `get` does not know it leaves out.
    """

    async def put(self, contents: Sequence[SealedContent]) -> None:
        """Store them all."""
        ...

    async def get(self, addresses: Collection[str]) -> Mapping[str, SealedContent]:
        """Return what is there, by address."""
        ...

    async def delete(self, addresses: Collection[str]) -> None:
        """Remove them; removing what is not there changes nothing."""
        ...

    async def sweep(self, now: datetime, *, limit: int) -> int:
        """Remove at most `limit` contents whose `kept_until` has passed; return how many."""
        ...


class CustomerKeys(Protocol):
    """Makes, finds and destroys customer keys.

    Every implementation promises: an owner has one key at a time, the same for every process; a key is as
    durable as anything committed after it; after `forget` returns nobody can be given that key any more.
    """

    async def key_of(self, owner: str) -> CustomerKey:
        """Return the owner's key, made when there is none."""
        ...

    async def find(self, key_id: str) -> CustomerKey:
        """Return a key, or raise `NotFoundError` when it was forgotten."""
        ...

    async def forget(self, owner: str) -> bool:
        """Destroy the owner's key and every content under it; False when there was none."""
        ...
