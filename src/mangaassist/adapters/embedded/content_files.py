"""Sealed contents as files: one each, named by its address, whole or not there.

<contents>/ab/abcdef…   a line of JSON (kept until, key), then the body
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import orjson

from mangaassist.domain.contents import SealedContent


class FileContentStore:
    """A `ContentStore` in a folder: for an installation whose database should stay small."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, contents: Sequence[SealedContent]) -> None:
        """Store each under its own name; durable when this returns."""
        await asyncio.to_thread(self._put, contents)

    async def get(self, addresses: Collection[str]) -> Mapping[str, SealedContent]:
        """Return what is there, by address."""
        return await asyncio.to_thread(self._get, addresses)

    async def delete(self, addresses: Collection[str]) -> None:
        """Remove them."""
        for address in addresses:
            self._path(address).unlink(missing_ok=True)

    async def sweep(self, now: datetime, *, limit: int) -> int:
        """Remove what has been kept long enough."""
        return await asyncio.to_thread(self._sweep, now, limit)

    def _put(self, contents: Sequence[SealedContent]) -> None:
        folders = set()
        for content in contents:
            known = self._read(content.address)
            if known is not None and known.kept_until >= content.kept_until:
                continue
            path = self._path(content.address)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            head = {"kept_until": content.kept_until.isoformat(), "key_id": content.key_id}
            temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
            with temporary.open("wb") as file:
                file.write(orjson.dumps(head) + b"\n" + (known.body if known else content.body))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            folders.add(path.parent)
        for folder in folders:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _get(self, addresses: Collection[str]) -> dict[str, SealedContent]:
        found = (self._read(address) for address in addresses)
        return {content.address: content for content in found if content is not None}

    def _sweep(self, now: datetime, limit: int) -> int:
        removed = 0
        for path in self._files():
            if removed == limit:
                break
            content = self._read(path.name)
            if content is not None and content.kept_until < now:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _files(self) -> Iterator[Path]:
        return (path for path in sorted(self._directory.glob("*/*")) if path.suffix != ".tmp")

    def _path(self, address: str) -> Path:
        return self._directory / address[:2] / address

    def _read(self, address: str) -> SealedContent | None:
        try:
            head, _, body = self._path(address).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        facts = orjson.loads(head)
        return SealedContent(
            address=address,
            body=body,
            kept_until=datetime.fromisoformat(facts["kept_until"]),
            key_id=facts["key_id"],
        )
