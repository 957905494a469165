"""What every content store and every store of customer keys promises, and what sealing adds to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mangaassist.adapters.embedded.content_files import FileContentStore
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds
from mangaassist.control.lineage.stand_ins import ScratchStore
from mangaassist.domain.contents import SealedContent
from mangaassist.domain.errors import ConfigurationError, DamagedContentError, NotFoundError
from mangaassist.ports.contents import ContentStore
from mangaassist.serving.contents import Contents
from tests.support.clock import FakeClock, SequentialIds
from tests.support.stored import MOMENT, make_write

KEY = bytes(range(32))


@pytest.fixture(params=["sqlite", "files", pytest.param("postgres", marks=pytest.mark.postgres)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ContentStore]:
    if request.param == "files":
        yield FileContentStore(tmp_path / "contents")
        return
    url = f"sqlite:///{tmp_path / 'mangaassist.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    storage = await SqlStorage.open(url, clock=FakeClock(), ids=SequentialIds())
    yield storage.contents
    await storage.close()


def content(number: int, *, kept_days: float = 1.0) -> SealedContent:
    return SealedContent(
        address=f"{number:064x}", body=os.urandom(100 + number), kept_until=MOMENT + timedelta(days=kept_days)
    )


async def test_contents_come_back_and_unknown_ones_are_left_out(store: ContentStore) -> None:
    contents = [content(number) for number in range(5)]
    await store.put(contents)
    found = await store.get([one.address for one in contents] + ["f" * 64])
    assert found == {one.address: one for one in contents}
    await store.put([])
    assert await store.get([]) == {}


async def test_the_first_body_and_the_longest_retention_win(store: ContentStore) -> None:
    first = content(1, kept_days=5)
    await store.put([first])
    await store.put([replace(first, body=b"other", kept_until=MOMENT + timedelta(days=2))])
    assert (await store.get([first.address]))[first.address] == first
    later = replace(first, body=b"other", kept_until=MOMENT + timedelta(days=9))
    await store.put([later])
    assert (await store.get([first.address]))[first.address] == replace(later, body=first.body)


async def test_the_sweep_removes_what_is_over_and_the_rest_stays(store: ContentStore) -> None:
    old, new = [content(number, kept_days=number) for number in (1, 2, 3)], content(9, kept_days=30)
    await store.put([*old, new])
    assert await store.sweep(MOMENT + timedelta(days=2.5), limit=1) == 1
    assert await store.sweep(MOMENT + timedelta(days=10), limit=100) == 2
    assert await store.sweep(MOMENT + timedelta(days=10), limit=100) == 0
    assert set(await store.get([one.address for one in (*old, new)])) == {new.address}


async def test_deleting_is_idempotent(store: ContentStore) -> None:
    one = content(1)
    await store.put([one])
    await store.delete([one.address, "e" * 64])
    await store.delete([one.address])
    await store.delete([])
    assert await store.get([one.address]) == {}


# --- customer keys ---


def keys(storage: SqlStorage, master_key: bytes = KEY):  # type: ignore[no-untyped-def]  # the adapter's own type
    return storage.customer_keys(master_key=master_key, random_bytes=os.urandom)


async def test_an_owner_has_one_key_in_every_process_until_it_is_forgotten(database_url: str) -> None:
    one = await SqlStorage.open(database_url, clock=FakeClock(), ids=SequentialIds())
    two = await SqlStorage.open(database_url, clock=FakeClock(), ids=RandomIds())
    found = await asyncio.gather(*(keys(one if n % 2 else two).key_of("visitor:1") for n in range(20)))
    assert len({key.key_id for key in found}) == len({key.secret for key in found}) == 1
    assert await keys(two).find(found[0].key_id) == found[0]
    assert await keys(one).key_of("visitor:2") != found[0]

    assert await keys(one).forget("visitor:1")
    assert not await keys(one).forget("visitor:1")
    with pytest.raises(NotFoundError, match="forgotten"):
        await keys(two).find(found[0].key_id)
    assert (await keys(two).key_of("visitor:1")).secret != found[0].secret
    with pytest.raises(ConfigurationError, match="MANGAASSIST_CONTENT_KEY"):
        await keys(two, bytes(32)).key_of("visitor:1")
    await one.close()
    await two.close()


# --- sealing ---


def sealing(store: ContentStore, *, clock: FakeClock | None = None) -> Contents:
    return Contents(
        store=store,
        keys=ScratchStore(),
        clock=clock or FakeClock(),
        random_bytes=os.urandom,
        retention=timedelta(days=30),
    )


@given(plain=st.binary(max_size=5_000), owner=st.text(min_size=1, max_size=20))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_whatever_is_sealed_opens_to_the_same_bytes(plain: bytes, owner: str) -> None:
    store = ScratchStore()
    contents = sealing(store)
    sealed = await contents.seal(plain, owner=owner)
    await store.put([sealed])
    (address,) = await contents.keep_shared([plain])
    assert await contents.open([sealed.address, address]) == {sealed.address: plain, address: plain}
    assert sealed.address != address
    if len(plain) > 12:
        assert plain not in sealed.body


@given(plain=st.binary(min_size=1, max_size=300), data=st.data())
@settings(max_examples=60, deadline=None)
async def test_a_changed_bit_is_noticed_unless_it_means_nothing(plain: bytes, data: st.DataObject) -> None:
    store = ScratchStore()
    contents = sealing(store)
    if data.draw(st.booleans()):
        sealed = await contents.seal(plain, owner="visitor:1")
    else:
        (address,) = await contents.keep_shared([plain])
        sealed = (await store.get([address]))[address]
    at = data.draw(st.integers(0, len(sealed.body) - 1))
    flipped = bytes([sealed.body[at] ^ (1 << data.draw(st.integers(0, 7)))])
    await store.put([replace(sealed, body=sealed.body[:at] + flipped + sealed.body[at + 1 :])])
    try:
        opened = await contents.open([sealed.address])
    except DamagedContentError:
        return
    # a compressed stream ends in bits that mean nothing; an encrypted one has none
    assert sealed.key_id is None
    assert opened == {sealed.address: plain}


async def test_shared_contents_are_stored_once_a_day_and_outlive_their_last_use() -> None:
    class Counting(ScratchStore):
        puts = 0

        async def put(self, contents: object) -> None:
            self.puts += 1
            await super().put(contents)  # type: ignore[arg-type]  # as given

    store, clock = Counting(), FakeClock()
    contents = sealing(store, clock=clock)
    for _ in range(10):
        (address,) = await contents.keep_shared([b"the same prompt"])
    assert store.puts == 1
    clock.advance(86_400)
    await contents.keep_shared([b"the same prompt"])
    assert store.puts == 2
    kept = (await store.get([address]))[address]
    assert kept.kept_until >= clock.now() + timedelta(days=30)


# --- with the turn ---


async def test_a_capsule_is_stored_with_its_turn_or_not_at_all(database_url: str) -> None:
    storage = await SqlStorage.open(database_url, clock=FakeClock(), ids=SequentialIds())
    customer = keys(storage)
    contents = Contents(
        store=storage.contents,
        keys=customer,
        clock=FakeClock(),
        random_bytes=os.urandom,
        retention=timedelta(days=30),
    )
    sealed = await contents.seal(b"what she asked", owner="visitor:1")
    await storage.sessions.append(replace(make_write("res_1"), capsule=sealed))
    assert await contents.open([sealed.address]) == {sealed.address: b"what she asked"}

    late = await contents.seal(b"what she asked next", owner="visitor:1")
    await customer.forget("visitor:1")
    await storage.sessions.append(replace(make_write("res_2"), capsule=late))

    assert await storage.contents.get([sealed.address, late.address]) == {}
    await storage.close()


WRITING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mangaassist.adapters.embedded.content_files import FileContentStore
from mangaassist.domain.contents import SealedContent
import asyncio

async def main():
    store = FileContentStore(Path(sys.argv[1]))
    for number in range(100_000):
        address = f"{number:064x}"
        await store.put([SealedContent(address=address, body=bytes([number % 256]) * 4096,
                                       kept_until=datetime(2030, 1, 1, tzinfo=UTC))])
        print(address, flush=True)

asyncio.run(main())
"""


def acknowledged_before_a_kill(directory: Path) -> list[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(40)]
    process.kill()
    rest, _ = process.communicate()
    return acknowledged + rest.split()


async def test_files_acknowledged_before_a_kill_are_whole(tmp_path: Path) -> None:
    acknowledged = acknowledged_before_a_kill(tmp_path / "contents")

    found = await FileContentStore(tmp_path / "contents").get(acknowledged)

    assert set(found) == set(acknowledged)
    assert all(one.body == bytes([int(one.address, 16) % 256]) * 4096 for one in found.values())
