"""Another process on the same database; its arguments are COMMAND URL SESSION COUNT NAME."""

from __future__ import annotations

import asyncio
import sys

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.domain.budget import BudgetPolicy
from tests.support.clock import FakeClock, SequentialIds
from tests.support.stored import make_write


async def append(storage: SqlStorage, session_id: str, count: int) -> None:
    """Append turns, 32 at a time, and print the id of each one that is acknowledged."""
    room = asyncio.Semaphore(32)

    async def one(number: int) -> None:
        async with room:
            response_id = f"{sys.argv[5]}-{number:04d}"
            await storage.sessions.append(make_write(response_id, session_id=session_id))
            print(response_id, flush=True)

    await asyncio.gather(*(one(number) for number in range(count)))


async def reserve(storage: SqlStorage, session_id: str, count: int) -> None:
    """Reserve at once and print how many tokens were granted together."""
    granted = await asyncio.gather(
        *(
            storage.budgets.reserve(session_id, f"{sys.argv[5]}-{number}", BudgetPolicy())
            for number in range(count)
        )
    )
    print(sum(reservation.reserved_tokens for reservation in granted), flush=True)


async def main() -> None:
    command, url, session_id, count = sys.argv[1:5]
    storage = await SqlStorage.open(url, clock=FakeClock(), ids=SequentialIds())
    await {"append": append, "reserve": reserve}[command](storage, session_id, int(count))
    await storage.close()


if __name__ == "__main__":
    asyncio.run(main())
